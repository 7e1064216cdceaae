/**
 * Two processes of the functions that look at the same people on one PostgreSQL, beside the system that signs and publishes. Every look
 * is asked of both at once, again and again, while one of them is killed, one is stopped until its leases have run out, and
 * backends are terminated in the middle of transactions.
 */
import { randomUUID, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FUNCTION_NAMES, type FunctionName } from '../../functions/catalog.ts';
import { ACCOUNTS, COMPANY, SECRETS } from '../../local/company.ts';
import { functionUrl } from '../../local/environment.ts';
import { type Supervisor, superviseFunctions } from '../../local/supervisor.ts';
import { push } from '../functions/support/pushes.ts';
import { addressOf, only, type Story } from '../stories/story.ts';
import { readLifetimes } from './functions-log.ts';
import type { Witnesses } from './ledger-checker.ts';

export interface Worker {
  readonly supervisor: Supervisor;
  readonly logFile: string;
  /** One look, delivered as Pub/Sub delivers it; the status, or undefined when nobody answered. */
  look(userId: string): Promise<number | undefined>;
  /** Ends it, stopped or not, and removes its folder. */
  end(): Promise<void>;
}

/** A second home for the functions, with sockets and a log of its own; nothing but the ledger ties it to the first. */
export async function startWorker(story: Story, name: string, databaseUrl: string): Promise<Worker> {
  const folder = mkdtempSync(join(tmpdir(), `sealwright-${name}-`));
  const sockets = Object.fromEntries(
    FUNCTION_NAMES.map((one) => [one, join(folder, `${one}.sock`)]),
  ) as Record<FunctionName, string>;
  const portBase = Number(new URL(story.system.ready.google).port);
  const logFile = join(folder, 'functions.log');
  const local = {
    portBase,
    clockFile: join(story.stateDir, 'clock-offset'),
    policyFile: join(story.stateDir, 'policy.yaml'),
    keyEncryptionKeys: [`projects/${COMPANY.project}/secrets/${SECRETS.keyEncryptionKey}/versions/1`],
    databaseUrl,
  };
  const supervisor = await superviseFunctions(
    {
      functions: FUNCTION_NAMES,
      local,
      ledgerDir: join(folder, 'ledger'),
      offlineDir: join(folder, 'offline'),
      sockets,
    },
    logFile,
  );
  const audience = functionUrl(portBase, 'directory-event');
  return {
    supervisor,
    logFile,
    look: (userId) => deliver(sockets['directory-event'], audience, userId),
    async end() {
      process.kill(supervisor.pid(), 'SIGCONT');
      await supervisor.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Cloud Run has verified the token and taken its signature away by the time the function sees it. */
const tokenOf = (audience: string): string =>
  [{ alg: 'RS256' }, { aud: audience, email: ACCOUNTS.push, email_verified: true }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .concat('SIGNATURE_REMOVED_BY_GOOGLE')
    .join('.');

function deliver(socketPath: string, audience: string, userId: string): Promise<number | undefined> {
  const eventId = randomUUID();
  const body = push({ version: 1, userId, cause: { source: 'watch', eventId, event: 'update' } }, eventId);
  return new Promise((resolve) => {
    const call = request(
      {
        socketPath,
        method: 'POST',
        path: '/',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${tokenOf(audience)}` },
      },
      (response) => {
        response.resume();
        response.once('close', () => resolve(response.statusCode));
      },
    );
    // Killed in the middle, or not there yet: Pub/Sub would come again, and so does the campaign.
    call.once('error', () => resolve(undefined));
    call.end(body);
  });
}

/** Waits until the process has a step in flight, and tells which. */
export async function atWork(worker: Worker, timeoutMs = 20_000): Promise<readonly string[]> {
  const pid = worker.supervisor.pid();
  const endsMs = performance.now() + timeoutMs;
  while (performance.now() < endsMs) {
    const inFlight = readLifetimes(worker.logFile).find((lifetime) => lifetime.pid === pid)?.inFlight ?? [];
    if (inFlight.length > 0) return inFlight;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return [];
}

/** What the logs of all processes and the mailboxes say, for the checker. */
export async function witnessesOf(
  story: Story,
  logFiles: readonly string[],
  people: readonly { readonly name: string; readonly userId: string }[],
): Promise<Witnesses> {
  const uses: { userId: string; serialHex: string }[] = [];
  for (const { name, userId } of people) {
    const { pairs, identities } = await story.company.holdings(addressOf(name));
    const pair = pairs.find(({ keyPairId }) => keyPairId === only(identities).primaryKeyPairId);
    if (pair === undefined) throw new Error(`The identity of ${name} uses no pair that Gmail lists.`);
    uses.push({ userId, serialHex: new X509Certificate(pair.pem).serialNumber.toLowerCase() });
  }
  return {
    signed: logFiles.flatMap((file) => readLifetimes(file).flatMap(({ signed }) => signed)),
    uses,
    now: await story.company.now(),
  };
}
