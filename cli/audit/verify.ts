import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import {
  type ChainEndDocument,
  type CheckpointDocument,
  type EntryDocument,
  entryOf,
} from '../../shared/audit/document.ts';
import {
  FiguresChecker,
  type FiguresFinding,
  type FiguresReport,
} from '../../shared/audit/figures-checker.ts';
import {
  type KnownCheckpoint,
  TrailChecker,
  type TrailFinding,
  type TrailReport,
} from '../../shared/audit/trail-checker.ts';
import type { StoredCheckpoint } from '../../shared/ports/ledger/audit-chains.ts';
import { AdminClient } from '../admin/client.ts';
import { CONNECTION_FLAGS, CONNECTION_NOTE, connectionOf } from '../admin/connection.ts';
import type { Call, Command, Outcome } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';
import { facts } from '../table.ts';
import { counted, instant } from '../words.ts';
import { trailDocument } from './documents.ts';
import { readRoot, trustUpTo } from './trust.ts';

export const auditVerify: Command = {
  name: 'audit verify',
  summary: 'whether any entry of the audit trail was changed, removed or inserted since it was written',
  operands: [],
  flags: {
    file: {
      kind: 'text',
      placeholder: 'FILE',
      help: 'check this export (JSON Lines) instead of the live trail',
    },
    root: {
      kind: 'text',
      placeholder: 'FILE',
      help: "the root certificate, PEM: checkpoints' signers must lead to it",
    },
    checkpoint: {
      kind: 'text',
      repeatable: true,
      placeholder: 'NUMBER:SHA256',
      help: 'a checkpoint kept elsewhere, as the log line audit-checkpoint-signed has it: the trail must contain it',
    },
    at: {
      kind: 'text',
      placeholder: 'INSTANT',
      help: 'when the trail was read, ISO 8601, to judge whether its last checkpoint is too old; of the live trail: now',
    },
    ...CONNECTION_FLAGS,
  },
  notes: [
    'Computes every hash again on this machine and checks every checkpoint: it believes neither ledger nor admin API.',
    'Ends with 1 when something was changed. Entries after the last checkpoint are chained but not signed yet; of the live trail they are held against how far each chain goes by the ledger’s own account.',
    'A trail set back to an earlier checkpoint shows by its age: older than two days is a finding (for a copy with --at). What was set back within two days shows only with --checkpoint.',
    'The figures beside revocations (first CRL, seconds) are made anew from the entries and compared. That no earlier CRL than the one named lists the serial, only the CRLs themselves say.',
    'Without --root it takes any signer that comes with its issuer: then it finds damage, but not a trail forged as a whole.',
    CONNECTION_NOTE,
  ],
  async run(call) {
    const rootFile = call.text('root');
    const trust = trustUpTo(rootFile === undefined ? undefined : readRoot(rootFile));
    const file = call.text('file');
    const known = call.texts('checkpoint').map(knownCheckpoint);
    const readAt = instantOf(call.text('at')) ?? (file === undefined ? new Date() : undefined);
    const trail = file === undefined ? await liveTrail(call) : await fileTrail(file);
    const ends = trail.ends.map((end) => ({ ...end, place: BigInt(end.place) }));
    const checker = new TrailChecker(trail.checkpoints.map(storedCheckpoint), trust, {
      ends,
      known,
      ...(readAt === undefined ? {} : { readAt }),
    });
    const figures = new FiguresChecker();
    const findings: (TrailFinding | FiguresFinding)[] = [];
    await withProgress(
      call.terminal,
      () => `checking the audit trail, ${counted(checker.report().entries, 'entry', 'entries')} so far`,
      async () => {
        for await (const entry of trail.entries)
          findings.push(...checker.take(entryOf(entry)), ...figures.take(entry));
        findings.push(...checker.end(), ...figures.end());
      },
    );
    return outcome(checker.report(), figures.report(), findings, rootFile !== undefined);
  },
};

function knownCheckpoint(text: string): KnownCheckpoint {
  const [, number, sha256Hex] = /^([1-9]\d{0,17}):([0-9a-f]{64})$/i.exec(text) ?? [];
  if (number === undefined || sha256Hex === undefined)
    throw new UsageError(
      `--checkpoint "${text}" is not NUMBER:SHA256: give the checkpoint's number, a colon and the 64 hexadecimal digits of its statement.`,
    );
  return { number: BigInt(number), sha256Hex: sha256Hex.toLowerCase() };
}

function instantOf(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const at = new Date(text);
  if (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(at.getTime())) return at;
  throw new UsageError(`--at "${text}" is no instant: write it like 2026-11-20T09:00:00Z.`);
}

interface Trail {
  readonly checkpoints: readonly CheckpointDocument[];
  /** None for a copy: how far the chains go now says nothing about it. */
  readonly ends: readonly ChainEndDocument[];
  readonly entries: AsyncIterable<EntryDocument>;
}

/** Checkpoints and ends first: what is written while the entries are read is for the next time. */
async function liveTrail(call: Call): Promise<Trail> {
  const admin = new AdminClient(connectionOf(call));
  const checkpoints: CheckpointDocument[] = [];
  for await (const page of admin.checkpointPages()) checkpoints.push(...page);
  const ends: ChainEndDocument[] = [];
  for await (const page of admin.chainEndPages()) ends.push(...page);
  async function* entries() {
    for await (const page of admin.auditDocuments(undefined)) yield* page;
  }
  return { checkpoints, ends, entries: entries() };
}

/** Read twice, because there is one checkpoint for thousands of entries and an export need not fit into memory. */
async function fileTrail(file: string): Promise<Trail> {
  const checkpoints: CheckpointDocument[] = [];
  for await (const document of documentsOf(file)) {
    if (document.kind === 'checkpoint') checkpoints.push(document);
  }
  async function* entries() {
    for await (const document of documentsOf(file)) if (document.kind === 'entry') yield document;
  }
  return { checkpoints, ends: [], entries: entries() };
}

async function* documentsOf(file: string): AsyncGenerator<EntryDocument | CheckpointDocument> {
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
  let number = 0;
  try {
    for await (const line of lines) {
      number += 1;
      if (line.trim() !== '') yield parseLine(line, file, number);
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(
      `The export ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}.`,
      { cause: error },
    );
  }
}

function parseLine(line: string, file: string, number: number): EntryDocument | CheckpointDocument {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new UsageError(
      `${file}:${number} is no JSON: give a file that "sealwright audit export" printed as JSON Lines.`,
      { cause: error },
    );
  }
  const parsed = trailDocument.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new UsageError(`${file}:${number} is neither an entry nor a checkpoint of an audit trail.`);
}

const storedCheckpoint = (document: CheckpointDocument): StoredCheckpoint => ({
  number: BigInt(document.number),
  lastEntryId: BigInt(document.lastEntryId),
  statement: document.statement,
  // The certificate inside says which signer it was.
  signerSerialHex: '',
  ...(document.signed === undefined ? {} : { signedDer: Buffer.from(document.signed, 'base64') }),
});

function outcome(
  report: TrailReport,
  figures: FiguresReport,
  findings: readonly (TrailFinding | FiguresFinding)[],
  isAnchored: boolean,
): Outcome {
  const { last } = report;
  const document = {
    intact: findings.length === 0,
    entries: report.entries,
    chains: report.chains,
    checkpoints: report.checkpoints,
    ...(last === undefined
      ? {}
      : { lastCheckpoint: { number: String(last.number), at: last.at.toISOString() } }),
    uncovered: report.uncovered,
    figures,
    anchored: isAnchored,
    findings: findings.map((finding) => ({
      ...finding,
      ...('place' in finding ? { place: String(finding.place) } : { number: String(finding.number) }),
      ...('id' in finding && finding.id !== undefined ? { id: String(finding.id) } : {}),
    })),
  };
  const rows: readonly (readonly [string, string])[] = [
    ['Entries', `${report.entries} in ${counted(report.chains, 'chain')}`],
    [
      'Checkpoints',
      last === undefined
        ? 'none that holds'
        : `${report.checkpoints} hold; the last is number ${last.number} of ${instant(last.at.toISOString())}`,
    ],
    ['Since then', `${counted(report.uncovered, 'entry', 'entries')}, chained and not signed yet`],
    [
      'Figures',
      `of ${counted(figures.held, 'revocation')} follow from the entries${figures.unheld === 0 ? '' : `; the CRL of ${figures.unheld} more has no entry of the same instant here`}`,
    ],
    [
      'Signed by',
      isAnchored ? 'signers that lead to the root given' : 'signers that nobody vouches for: give --root',
    ],
  ];
  const verdict =
    findings.length === 0
      ? 'Nothing was changed, removed or inserted.'
      : `${counted(findings.length, 'finding')}:\n${findings.map(({ message }) => `  ${message}`).join('\n')}`;
  return {
    exitCode: findings.length === 0 ? EXIT.done : EXIT.failed,
    document,
    text: `${facts(rows)}\n\n${verdict}`,
  };
}
