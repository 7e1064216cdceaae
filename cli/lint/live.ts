import type { FindingView, LintedCertificate, LintedIssuer, LintPage } from '../admin/answers.ts';
import type { AdminClient } from '../admin/client.ts';
import type { Call, Outcome } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { type Column, table } from '../table.ts';
import { counted } from '../words.ts';
import { countFindings, explanations } from './report.ts';

interface Row {
  readonly who: string;
  readonly serial: string;
  readonly place: string;
  readonly finding: FindingView;
}

/** Narrowest widths keep the pages of one listing aligned. */
const COLUMNS: readonly Column<Row>[] = [
  { title: 'SEVERITY', value: ({ finding }) => finding.severity, minimum: 8 },
  { title: 'WHOSE', value: ({ who }) => who, minimum: 24 },
  { title: 'SERIAL', value: ({ serial }) => serial, minimum: 36 },
  { title: 'JUDGED AS', value: ({ place }) => place, minimum: 9 },
  { title: 'RULE', value: ({ finding }) => finding.rule, minimum: 20 },
  { title: 'FOUND', value: ({ finding }) => finding.found },
];

/** Findings appear as they arrive; the explanations of the rules come at the end, each once. */
export async function lintLive(call: Call, admin: Pick<AdminClient, 'lintPages'>): Promise<Outcome> {
  const asDocument = call.isSet('json');
  const certificates: LintedCertificate[] = [];
  const issuers: LintedIssuer[] = [];
  const found: FindingView[] = [];
  let count = 0;
  await withProgress(
    call.terminal,
    () => `linting what is live, ${counted(count, 'certificate')} so far, ${countFindings(found)}`,
    async () => {
      for await (const page of admin.lintPages()) {
        const rows = rowsOf(page);
        if (!asDocument && rows.length > 0) call.terminal.print(table(COLUMNS, rows, found.length === 0));
        found.push(...rows.map(({ finding }) => finding));
        count += page.certificates.length;
        if (asDocument) certificates.push(...page.certificates);
        issuers.push(...(page.issuers ?? []));
      }
    },
  );
  const failed = found.some(({ severity }) => severity === 'error' || call.isSet('strict'));
  const exitCode = failed ? EXIT.failed : EXIT.done;
  if (asDocument) return { exitCode, document: { passes: !failed, issuers, certificates } };
  const cas = counted(issuers.length, 'issuing CA');
  const summary = `${counted(count, 'certificate')} and ${cas} judged: ${countFindings(found)}.`;
  return { exitCode, text: found.length === 0 ? summary : `\n${explanations(found)}\n\n${summary}` };
}

const rowsOf = (page: LintPage): readonly Row[] => [
  ...(page.issuers ?? []).flatMap(issuerRows),
  ...page.certificates.flatMap(({ user = '', serial, role, findings }) =>
    findings.map((finding) => ({ who: user, serial, place: role, finding })),
  ),
];

const issuerRows = ({ issuer, findings, certificates }: LintedIssuer): readonly Row[] => [
  ...findings.map((finding) => ({ who: issuer, serial: '', place: 'chain', finding })),
  ...certificates.flatMap(({ role, subject, serial, findings: own }) =>
    own.map((finding) => ({ who: subject, serial, place: role, finding })),
  ),
];
