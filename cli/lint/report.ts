/** What the linter found, for people and for programs. */
import type { ChainFinding, ChainReport } from '../../shared/pki/lint-chain.ts';
import type { FindingView } from '../admin/answers.ts';
import { type Column, table } from '../table.ts';
import { counted, instant } from '../words.ts';

export interface FileReport {
  readonly file: string;
  readonly report: ChainReport;
  readonly passes: boolean;
}

type Finding = Pick<ChainFinding, 'rule' | 'severity' | 'sentence' | 'found' | 'source' | 'fix'>;

/** A finding with where it stands: `chain`, or a certificate's role. */
export interface Placed {
  readonly place: string;
  readonly finding: FindingView | Finding;
}

export function documentOf({ file, report, passes }: FileReport) {
  const shown = ({ rule, severity, sentence, found, source, fix }: Finding) => ({
    rule,
    severity,
    sentence,
    found,
    source,
    fix,
  });
  return {
    file,
    format: report.format,
    passes,
    acceptable: report.acceptable,
    findings: report.findings.map(shown),
    certificates: report.certificates.map(({ findings, ...certificate }) => ({
      ...certificate,
      findings: findings.map(shown),
    })),
  };
}

export function describeFile({ file, report }: FileReport): string {
  const placed: readonly Placed[] = [
    ...report.findings.map((finding) => ({ place: 'chain', finding })),
    ...report.certificates.flatMap(({ role, findings }) =>
      findings.map((finding) => ({ place: role, finding })),
    ),
  ];
  return [
    `${file}: ${report.format}, ${counted(report.certificates.length, 'certificate')} in the chain. ${verdict(report, placed)}`,
    '',
    ...(report.certificates.length === 0 ? [] : [table(CERTIFICATE_COLUMNS, report.certificates), '']),
    ...(placed.length === 0
      ? []
      : [findingsTable(placed), '', explanations(placed.map(({ finding }) => finding)), '']),
  ]
    .join('\n')
    .trimEnd();
}

const verdict = (report: ChainReport, placed: readonly Placed[]): string => {
  if (placed.length === 0) return 'Gmail should take it; no rule is broken.';
  return `Gmail ${report.acceptable ? 'should take' : 'refuses'} it: ${countFindings(placed.map(({ finding }) => finding))}.`;
};

export function countFindings(findings: readonly Pick<Finding, 'severity'>[]): string {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  return `${counted(errors, 'error')}, ${counted(findings.length - errors, 'warning')}`;
}

const CERTIFICATE_COLUMNS: readonly Column<ChainReport['certificates'][number]>[] = [
  { title: 'JUDGED AS', value: ({ role }) => role },
  { title: 'NEAREST PROFILE', value: ({ profile }) => profile },
  { title: 'SUBJECT', value: ({ subject }) => subject },
  { title: 'SERIAL', value: ({ serialHex }) => serialHex },
  { title: 'FROM', value: ({ notBefore }) => instant(notBefore.toISOString()) },
  { title: 'UNTIL', value: ({ notAfter }) => instant(notAfter.toISOString()) },
];

const FINDING_COLUMNS: readonly Column<Placed>[] = [
  { title: 'SEVERITY', value: ({ finding }) => finding.severity },
  { title: 'WHERE', value: ({ place }) => place },
  { title: 'RULE', value: ({ finding }) => finding.rule },
  { title: 'FOUND', value: ({ finding }) => finding.found },
];

/** Errors first. */
const findingsTable = (placed: readonly Placed[]): string =>
  table(
    FINDING_COLUMNS,
    placed.toSorted((left, right) => left.finding.severity.localeCompare(right.finding.severity)),
  );

/** Each broken rule once: what must hold, who says so, what to do. */
export const explanations = (
  findings: readonly Pick<Finding, 'rule' | 'sentence' | 'source' | 'fix'>[],
): string =>
  [...new Map(findings.map((finding) => [finding.rule, finding])).values()]
    .map(({ rule, sentence, source, fix }) => `${rule}: ${sentence} [${source}]\n  ${fix}`)
    .join('\n');
