/**
 * Makes the CA of a company, once. The root's private key exists in this process and, encrypted, in the folder that is
 * carried away; nowhere else. The issuing key goes into Secret Manager, where `sign` alone reads it.
 */
import { type SetUpDeps, type SetUpResult, setUpAuthority } from '../../shared/authority/set-up.ts';
import { parseSettings, type Settings } from '../../shared/config/settings.ts';
import { sha256Hex } from '../../shared/pki/certificate.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import type { Signer } from '../../shared/pki/signer.ts';
import type { Bus } from '../../shared/ports/bus.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { Call, Outcome } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { CommandFailure } from '../failure.ts';
import { withProgress } from '../progress.ts';
import { facts } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { encryptPrivateKey } from './encrypted-key.ts';
import { type OfflineFolder, openOfflineFolder } from './offline-folder.ts';
import { type PromptStreams, readPassphrase } from './passphrase-source.ts';
import { readInitRequest } from './request.ts';
import { journalled } from './root-journal.ts';

/** What the CA is made with. */
export interface InitDeps extends SetUpDeps {
  readonly ledger: SetUpDeps['ledger'] & Pick<Ledger, 'audit' | 'close'>;
  readonly bus: Pick<Bus, 'requestCrl'>;
}

export interface InitSurroundings {
  /** Opens the adapters; by default from the settings, with Application Default Credentials. */
  readonly open?: (settings: Settings) => Promise<InitDeps>;
  /** By default the terminal of this process. */
  readonly prompt?: PromptStreams;
}

/** Throws `UsageError` before anything is made, `CommandFailure` and `SealwrightError` while it is. */
export async function makeAuthority(call: Call, surroundings: InitSurroundings): Promise<Outcome> {
  const request = readInitRequest(call);
  const settings = parseSettings({ SEALWRIGHT_CREDENTIALS: 'application-default', ...call.environment });
  const prompt = surroundings.prompt ?? { input: process.stdin, output: process.stderr };
  const passphrase = await readPassphrase(call, prompt);
  const folder = openOfflineFolder(request.offline);
  let deps: InitDeps | undefined;
  let made: SetUpResult;
  try {
    deps = await withProgress(
      call.terminal,
      () => 'opening the ledger',
      () => (surroundings.open ?? openFromSettings)(settings),
    );
    const witness = (root: Signer) => journalled(root, folder.journalFile);
    made = await setUp(deps, { ...request, witness }, call.terminal);
  } catch (error) {
    folder.discard();
    await deps?.ledger.close();
    throw error;
  }
  try {
    await storeRootKey(folder, made, passphrase, deps, call.terminal);
    return await finish(folder, made, deps);
  } finally {
    await deps.ledger.close();
  }
}

function setUp(
  deps: InitDeps,
  request: Parameters<typeof setUpAuthority>[1],
  terminal: Terminal,
): Promise<SetUpResult> {
  return withProgress(
    terminal,
    () =>
      request.kmsKeyVersion === undefined
        ? 'making two 4096-bit keys and storing the issuing one'
        : 'making a 4096-bit root key',
    () => setUpAuthority(deps, request),
  );
}

/**
 * From here on the CA exists and this key is the only one of its root. Should the folder fail now, the encrypted key is
 * printed: better on a screen than lost.
 */
async function storeRootKey(
  folder: OfflineFolder,
  made: SetUpResult,
  passphrase: string,
  deps: InitDeps,
  terminal: Terminal,
): Promise<void> {
  const pem = encryptPrivateKey(made.rootPkcs8Der, passphrase, deps.random);
  made.rootPkcs8Der.fill(0);
  try {
    folder.writeKey(pem);
  } catch (error) {
    terminal.tell(pem);
    throw new CommandFailure(
      'root-key-not-stored',
      `The CA was made, but ${folder.keyFile} could not be written (${error instanceof Error ? error.message : String(error)}). The encrypted root key stands above: save it now, there is no other copy.`,
      { exitCode: EXIT.partlyDone, cause: error },
    );
  }
}

async function finish(folder: OfflineFolder, made: SetUpResult, deps: InitDeps): Promise<Outcome> {
  const { issuer, rootDer } = made;
  const fingerprints = {
    rootSha256: sha256Hex(rootDer),
    issuingSha256: sha256Hex(issuer.certificateDer),
  };
  // The CA stands and its key is safe. What fails from here on is named, and the rest is done all the same.
  const certificates = await problemOf('The certificates could not be written', () =>
    folder.writeTrust({
      rootPem: derToPem('CERTIFICATE', rootDer),
      issuingPem: derToPem('CERTIFICATE', issuer.certificateDer),
      rootCrlDer: made.rootCrlDer,
    }),
  );
  const audit = await problemOf('The audit trail has no entry of this', () =>
    deps.ledger.audit({
      cause: { source: 'admin', eventId: issuer.issuerId, event: 'ca-init' },
      step: 'issuer-recorded',
      reason: 'A CA was made with "sealwright ca init".',
      outcome: 'done',
      details: { issuerId: issuer.issuerId, ...fingerprints },
    }),
  );
  // No leaf is issued before the first CRL is public; the schedule would make one within hours.
  const crl = await problemOf('The first CRL could not be asked for; run the scheduled job publish-crl', () =>
    deps.bus.requestCrl(issuer.issuerId),
  );
  const problems = [certificates, audit, crl].filter((problem) => problem !== undefined);
  return {
    exitCode: problems.length === 0 ? EXIT.done : EXIT.partlyDone,
    document: {
      issuerId: issuer.issuerId,
      ...fingerprints,
      keyVersion: issuer.keyVersion,
      crlUrl: issuer.crlUrl,
      issuerUrl: issuer.issuerUrl,
      rootCrlUrl: made.rootCrlUrl,
      rootKey: folder.keyFile,
      root: folder.rootFile,
      adminConsole: folder.adminConsoleFile,
      problems,
    },
    text: [
      'The CA is made.',
      '',
      facts([
        ['Issuer', issuer.issuerId],
        ['Issuing key', issuer.keyVersion],
        ['Root key', `${folder.keyFile} (encrypted; there is no other copy)`],
        ['Root', folder.rootFile],
        ['Root SHA-256', fingerprints.rootSha256],
        ['For Google', folder.adminConsoleFile],
        ['CRL', issuer.crlUrl],
        ['CRL of the root', made.rootCrlUrl],
      ]),
      ...problems.flatMap((problem) => ['', problem]),
      '',
      ...nextSteps(folder, issuer.crlUrl),
    ].join('\n'),
  };
}

async function problemOf(what: string, attempt: () => unknown): Promise<string | undefined> {
  try {
    await attempt();
    return undefined;
  } catch (error) {
    return `${what}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

const nextSteps = (folder: OfflineFolder, crlUrl: string): string[] => [
  'Next:',
  `1. Take ${folder.keyFile} offline: two copies on media that are locked away, the passphrase apart from them. It is needed again within six months, for the root's own CRL.`,
  `2. Upload ${folder.adminConsoleFile} in the Admin console (Apps > Google Workspace > Gmail > User settings > S/MIME, additional root certificates), for the domains of your users.`,
  `3. Give ${folder.rootFile} to those outside who check your signatures, and its SHA-256 by another way.`,
  `4. Wait for the first CRL: "curl -sI ${crlUrl}" answers 200 once it is public. Nobody gets a certificate before.`,
];

/** Loaded only here: Google's clients take a second that no other command should pay for. */
async function openFromSettings(settings: Settings): Promise<InitDeps> {
  const { composeSetUp } = await import('../../functions/compose/set-up.ts');
  return await composeSetUp(settings, {});
}
