/**
 * The whole system on one machine: the emulator in this process, the functions in another, the ledger with them. What
 * `npm start`, the demo and the stories in the tests stand on.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEmulator, type Emulator } from '../emulator/emulator.ts';
import { lockFolder } from '../shared/adapters/ledger/folder-lock.ts';
import { FUNCTION_NAMES, type FunctionName } from '../shared/domain/function-names.ts';
import { isSealwrightError } from '../shared/errors.ts';
import { ACCOUNTS, COMPANY, loopbackUrl, ORG_UNITS, SECRETS, TOPICS } from './company.ts';
import { emulatorOptions, subscriptions } from './deployment.ts';
import { adminAudience, functionUrl, type LocalEnvironment } from './environment.ts';
import { type StartFlags, UsageError } from './flags.ts';
import { policyText } from './policy-text.ts';
import { type Supervisor, superviseFunctions } from './supervisor.ts';

/** The one line `npm start --silent` prints on stdout; addresses end in a slash. */
export interface ReadyLine {
  readonly ready: true;
  readonly google: string;
  readonly admin: string;
  readonly keyService: string;
  readonly ocsp: string;
  readonly crl: string;
  readonly directoryWatch: string;
  readonly serviceAccount: string;
  readonly adminToken: string;
  readonly pids: { readonly emulator: number; readonly functions: number };
}

export interface System {
  readonly ready: ReadyLine;
  readonly issuerId: string;
  readonly crlUrl: string;
  readonly rootCrlUrl: string;
  readonly rootPem: string;
  readonly issuingPem: string;
  readonly logFile: string;
  /** Process ids of the functions now; each changes when its process is started again. */
  functionsPids(): readonly [number, ...number[]];
  onFunctionsRestart(listener: (pid: number) => void): void;
  stop(): Promise<void>;
}

type FunctionProcesses = readonly [readonly FunctionName[], ...(readonly FunctionName[])[]];
/** What runs in one process: everything. The ledger that comes with it is open in one process only. */
const TOGETHER: FunctionProcesses = [FUNCTION_NAMES];
/** What the schedule calls, and what that asks, beside the rest; in the cloud each function is apart. */
const SCHEDULED: readonly FunctionName[] = ['due', 'sweep', 'publish-crl', 'sign', 'ocsp'];
const APART: FunctionProcesses = [FUNCTION_NAMES.filter((name) => !SCHEDULED.includes(name)), SCHEDULED];

const LEDGER_NOT_SEPARATED =
  "All functions work on the ledger as the given login: it may not act under the functions' own roles, as a superuser may.";

/** Throws `UsageError` for what the caller must change: a taken port, an unusable state folder. */
export async function startSystem(flags: StartFlags, progress: (text: string) => void): Promise<System> {
  const { stateDir } = flags;
  const unlock = lockState(stateDir);
  const clockFile = join(stateDir, 'clock-offset');
  const socketDir = mkdtempSync(join(tmpdir(), 'sealwright-'));
  const sockets = Object.fromEntries(
    FUNCTION_NAMES.map((name) => [name, join(socketDir, `${name}.sock`)]),
  ) as Record<FunctionName, string>;
  const { portBase, mailboxDelayMs } = flags;
  let emulator: Emulator | undefined;
  const processes: Supervisor[] = [];
  const stop = async () => {
    await Promise.all(processes.map((functions) => functions.stop()));
    await emulator?.stop();
    rmSync(socketDir, { recursive: true, force: true });
    unlock();
  };
  try {
    emulator = openEmulator({ portBase, stateDir, clockFile, sockets, mailboxDelayMs });
    await emulator.start().catch((error: unknown) => {
      throw portError(error, flags.portBase);
    });
    progress('The emulator answers; the functions start.');
    const keyEncryptionKeys = prepareTenant(emulator, flags);
    const local: LocalEnvironment = {
      portBase: flags.portBase,
      clockFile,
      policyFile: writePolicy(flags),
      keyEncryptionKeys,
      databaseUrl: flags.databaseUrl,
      ...(flags.directoryPerMinute === undefined ? {} : { directoryPerMinute: flags.directoryPerMinute }),
    };
    const logFile = join(stateDir, 'functions.log');
    const supervise = async (functions: readonly FunctionName[]) => {
      const supervisor = await superviseFunctions(
        {
          functions,
          local,
          ledgerDir: join(stateDir, 'ledger'),
          offlineDir: join(stateDir, 'offline'),
          sockets,
          ...(flags.caKeySize === undefined ? {} : { caKeySize: flags.caKeySize }),
          ...(flags.userKeysFrom === undefined ? {} : { userKeysFrom: flags.userKeysFrom }),
        },
        logFile,
      );
      processes.push(supervisor);
      return supervisor;
    };
    const [firstOnes, ...others] = flags.schedulesApart === true ? APART : TOGETHER;
    // The first makes the company's CA, which the others find.
    const functions = await supervise(firstOnes);
    for (const names of others) await supervise(names);
    progress('The functions answer; the first CRL is published.');
    if (!functions.ready.ledgerSeparated) progress(LEDGER_NOT_SEPARATED);
    const { rootPem, issuingPem, issuerId, crlUrl, rootCrlUrl } = functions.ready;
    trustCompany(emulator, rootPem, issuingPem, flags.portBase);
    await publishFirst(emulator, new URL(new URL(crlUrl).pathname, loopbackUrl(flags.portBase, 'pki')));
    emulator.scheduler.start();
    return {
      ready: await readyLine(emulator, functions.pid(), flags, stateDir),
      issuerId,
      crlUrl,
      rootCrlUrl,
      rootPem,
      issuingPem,
      logFile,
      functionsPids: () => [functions.pid(), ...processes.slice(1).map((each) => each.pid())],
      onFunctionsRestart: (listener) => {
        for (const each of processes) each.onRestart(listener);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Makes the folder, keeps every other system out of it, and answers how to let go of it. */
function lockState(folder: string): () => void {
  try {
    return lockFolder(folder, 'state folder');
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new UsageError(
      isSealwrightError(error) ? message : `The state folder ${folder} cannot be written: ${message}.`,
    );
  }
}

function openEmulator(options: Parameters<typeof emulatorOptions>[0]): Emulator {
  try {
    return createEmulator(emulatorOptions(options));
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** The system's error may be the cause of one that names the service. */
function portError(error: unknown, portBase: number): unknown {
  const origin = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const { code, port } = origin as { code?: string; port?: number };
  if (code !== 'EADDRINUSE') return error;
  return new UsageError(`Port ${port ?? portBase} on 127.0.0.1 is taken; choose others with --port-base N.`);
}

/** Topics, subscriptions, secrets and the tenant. Answers the key-encryption keys' versions, newest first. */
function prepareTenant(emulator: Emulator, flags: StartFlags): readonly string[] {
  for (const topic of Object.values(TOPICS)) emulator.pubsub.ensureTopic(topic);
  for (const [name, settings] of Object.entries(subscriptions(flags.portBase)))
    emulator.pubsub.ensureSubscription(name, settings);
  const member = (email: string) => `serviceAccount:${email}`;
  emulator.secrets.ensureSecret(SECRETS.caKey, [
    { role: 'roles/secretmanager.secretAccessor', members: [member(ACCOUNTS.sign)] },
    { role: 'roles/secretmanager.secretVersionAdder', members: [member(ACCOUNTS.setUp)] },
    { role: 'roles/secretmanager.viewer', members: [member(ACCOUNTS.setUp), member(ACCOUNTS.publishCrl)] },
  ]);
  // Who makes a signer's key cannot read it, and who reads it cannot make one.
  for (const secret of [SECRETS.ocspKey, SECRETS.auditKey]) {
    emulator.secrets.ensureSecret(secret, [
      { role: 'roles/secretmanager.secretAccessor', members: [member(ACCOUNTS.sign)] },
      { role: 'roles/secretmanager.secretVersionAdder', members: [member(ACCOUNTS.publishCrl)] },
    ]);
  }
  emulator.secrets.ensureSecret(SECRETS.keyEncryptionKey, [
    { role: 'roles/secretmanager.secretAccessor', members: [member(ACCOUNTS.keyService)] },
  ]);
  if (!emulator.continued) {
    emulator.secrets.addVersion(SECRETS.keyEncryptionKey, randomBytes(32));
    emulator.directory.seedTenant({
      orgUnits: ORG_UNITS,
      users: [{ primaryEmail: COMPANY.superAdmin, givenName: 'Ada', familyName: 'Admin', superAdmin: true }],
    });
  }
  return [`projects/${COMPANY.project}/secrets/${SECRETS.keyEncryptionKey}/versions/1`];
}

function writePolicy({ stateDir, portBase, keySize, policy = (sample) => sample }: StartFlags): string {
  const file = join(stateDir, 'policy.yaml');
  writeFileSync(file, policy(policyText(functionUrl(portBase, 'key-service'), keySize)));
  return file;
}

/** What an admin clicks: the root is trusted, the key service is registered. */
function trustCompany(emulator: Emulator, rootPem: string, issuingPem: string, portBase: number): void {
  if (emulator.adminConsole.roots().length === 0)
    emulator.adminConsole.uploadRoot(`${issuingPem}${rootPem}`, [COMPANY.domain]);
  emulator.adminConsole.registerKeyService(functionUrl(portBase, 'key-service'));
}

/** The CRL must be public before the first certificate; the schedule's own jobs do the work. */
async function publishFirst(emulator: Emulator, crl: URL): Promise<void> {
  if (!(await fetch(crl)).ok) await emulator.scheduler.run('publish-crl');
  if (!(await fetch(crl)).ok) throw new Error(`The first CRL is not public at ${crl.href}.`);
  await emulator.scheduler.run('due');
  await emulator.scheduler.run('sweep');
}

async function readyLine(
  emulator: Emulator,
  functionsPid: number,
  flags: StartFlags,
  stateDir: string,
): Promise<ReadyLine> {
  const serviceAccount = join(stateDir, 'service-account.json');
  writeFileSync(
    serviceAccount,
    `${JSON.stringify(await emulator.identity.createKeyFile(ACCOUNTS.tools), null, 2)}\n`,
    { mode: 0o600 },
  );
  const audience = adminAudience(flags.portBase);
  return {
    ready: true,
    google: emulator.rootUrl,
    admin: audience,
    keyService: `${functionUrl(flags.portBase, 'key-service')}/`,
    ocsp: `${functionUrl(flags.portBase, 'ocsp')}/`,
    crl: `${loopbackUrl(flags.portBase, 'pki')}/`,
    directoryWatch: `${functionUrl(flags.portBase, 'directory-watch')}/`,
    serviceAccount,
    adminToken: await idToken(emulator, audience),
    pids: { emulator: process.pid, functions: functionsPid },
  };
}

/** As anybody gets one: through the emulator's control. */
async function idToken(emulator: Emulator, audience: string): Promise<string> {
  const response = await fetch(new URL('_emulator/idtoken', emulator.rootUrl), {
    method: 'POST',
    body: JSON.stringify({ email: COMPANY.superAdmin, audience }),
  });
  const { token } = (await response.json()) as { token?: string };
  if (token === undefined)
    throw new Error(`No ID token for ${COMPANY.superAdmin} (HTTP ${response.status}).`);
  return token;
}
