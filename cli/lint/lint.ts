/** `sealwright lint`: any chain from any CA against Gmail's rules and ours, or everything that is live. */
import { isSealwrightError } from '../../shared/errors.ts';
import { readChainFile } from '../../shared/pki/chain-file.ts';
import { type ChainLintOptions, type ChainReport, lintChain } from '../../shared/pki/lint-chain.ts';
import { AdminClient } from '../admin/client.ts';
import { CONNECTION_FLAGS, connectionOf } from '../admin/connection.ts';
import type { Call, Command, Outcome } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { CommandFailure, UsageError } from '../failure.ts';
import { readInput } from '../input-file.ts';
import { PASSWORD_FLAG, type PromptStreams, passwordFor, TERMINAL } from '../password.ts';
import { lintLive } from './live.ts';
import { describeFile, documentOf, type FileReport } from './report.ts';

export const lint = (streams: PromptStreams = TERMINAL, now: () => Date = () => new Date()): Command => ({
  name: 'lint',
  summary: 'a certificate chain from any CA against Gmail’s rules, or everything that is live',
  operands: ['FILE…'],
  flags: {
    live: { kind: 'switch', help: 'every certificate in the ledger that has not expired, instead of files' },
    address: {
      kind: 'text',
      placeholder: 'ADDRESS',
      help: 'the user’s address, which the certificate must name',
    },
    issuing: { kind: 'switch', help: 'the chain of an issuing CA, without a user certificate' },
    ours: { kind: 'switch', help: 'held to our own profiles: what is a warning for another CA is an error' },
    strict: { kind: 'switch', help: 'a warning fails as well' },
    ...PASSWORD_FLAG,
    ...CONNECTION_FLAGS,
  },
  notes: [
    'FILE is PEM (one or many certificates, with or without the key), DER, PKCS#7 or PKCS#12. What it is shows in its bytes, not its name.',
    'Ends with 0 when Gmail should take every chain, with 1 when a rule is broken, with 2 when a file cannot be read at all. Every rule is in docs/lint.md.',
    'Files need no network. --live asks the admin API.',
  ],
  async run(call) {
    const live = call.isSet('live');
    if (live !== (call.operands.length === 0)) {
      throw new UsageError(
        live
          ? '--live looks at the ledger; leave out the files, or leave out --live.'
          : 'Name at least one file, or give --live for everything in the ledger.',
      );
    }
    if (live) return await lintLive(call, new AdminClient(connectionOf(call)));
    return await lintFiles(call, streams, now());
  },
});

async function lintFiles(call: Call, streams: PromptStreams, now: Date): Promise<Outcome> {
  const files: FileReport[] = [];
  for (const file of call.operands) files.push(await lintFile(call, streams, file, now));
  const failed = files.filter(({ passes }) => !passes);
  return {
    exitCode: failed.length === 0 ? EXIT.done : EXIT.failed,
    document: { passes: failed.length === 0, files: files.map(documentOf) },
    text: files.map(describeFile).join('\n\n'),
  };
}

async function lintFile(call: Call, streams: PromptStreams, file: string, now: Date): Promise<FileReport> {
  const bytes = readInput(file);
  const address = call.text('address');
  const options: ChainLintOptions = {
    now,
    ...(address === undefined ? {} : { address }),
    ...(call.isSet('issuing') ? { expects: 'issuing' } : {}),
  };
  const report = await openedWithPassword(call, streams, file, (password) => {
    const opened = { ...options, ...(password === undefined ? {} : { password }) };
    if (!call.isSet('ours')) return lintChain(bytes, opened);
    return lintChain(bytes, { ...opened, ownIssuersDer: readChainFile(bytes, password).certificatesDer });
  });
  const findings = [
    ...report.findings,
    ...report.certificates.flatMap((certificate) => certificate.findings),
  ];
  return { file, report, passes: report.acceptable && !(call.isSet('strict') && findings.length > 0) };
}

/** Without a password first: most files have none. A file that cannot be opened is a usage error that names it. */
async function openedWithPassword(
  call: Call,
  streams: PromptStreams,
  file: string,
  open: (password: string | undefined) => ChainReport,
): Promise<ChainReport> {
  try {
    return open(undefined);
  } catch (error) {
    if (problemOf(error) !== 'password-missing') throw unreadable(file, error);
  }
  const password = await passwordFor(call, streams, `Password of ${file}: `);
  try {
    return open(password);
  } catch (error) {
    throw unreadable(file, error);
  }
}

const problemOf = (error: unknown): unknown =>
  isSealwrightError(error) && error.code === 'malformed-request' ? error.details?.['problem'] : undefined;

function unreadable(file: string, error: unknown): unknown {
  const problem = problemOf(error);
  if (problem === undefined || !(error instanceof Error)) return error;
  const hint =
    problem === 'password-missing'
      ? ' Give --password-file, set SEALWRIGHT_PASSWORD, or run this at a terminal.'
      : '';
  return new CommandFailure('malformed-request', `${file}: ${error.message}${hint}`, {
    exitCode: EXIT.usage,
    cause: error,
    details: { file, problem },
  });
}
