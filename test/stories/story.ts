/**
 * What every story stands on: one whole system in a folder of its own, and the hands of the people in it. Everything
 * goes through the addresses of the ready line, as it would from outside; nothing reaches into the product.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Certificate, CompanyClient, type UserView } from '../../demo/company-client.ts';
import { COMPANY } from '../../local/company.ts';
import { delegatedToken } from '../../local/delegated-token.ts';
import { freePortBase } from '../../local/ports.ts';
import { type ReadyLine, type System, startSystem } from '../../local/system.ts';
import { type PublishedCrl, readCrl } from './openssl.ts';

export interface StoryOptions {
  /** How long Gmail takes to make a new user's mailbox, by the emulator's clock; none unless told. */
  readonly mailboxDelayMs?: number;
  readonly databaseUrl?: string;
  /** Of the users' keys; 2048 unless told, because nothing but the time depends on it. */
  readonly keySize?: 2048 | 3072 | 4096;
  /** Of the CA's keys; 2048 unless told, as above. The demo and `npm start` have the 4096 bits of a real company. */
  readonly caKeySize?: 2048 | 3072 | 4096;
  /** Address of a module whose `generateKey` makes the users' keys; the product's own does unless told. */
  readonly userKeysFrom?: string;
  /** Calls of the Directory API in a minute of the machine's clock; the product's own default unless told. */
  readonly directoryPerMinute?: number;
  /** What the schedule calls in a process of its own; `databaseUrl` must be given. */
  readonly schedulesApart?: boolean;
  /** What becomes of the sample policy. */
  readonly policy?: (sample: string) => string;
  /** A folder to continue from; a fresh one, removed by `end`, unless told. */
  readonly stateDir?: string;
}

export interface Story {
  readonly system: System;
  readonly company: StoryCompany;
  readonly stateDir: string;
  /** Stops the system and removes a folder that was made for it. */
  end(): Promise<void>;
}

export async function beginStory(options: StoryOptions = {}): Promise<Story> {
  const stateDir = options.stateDir ?? mkdtempSync(join(tmpdir(), 'sealwright-story-'));
  const { mailboxDelayMs, keySize = 2048, caKeySize = 2048 } = options;
  const system = await startSystem(
    {
      portBase: await freePortBase(),
      stateDir,
      empty: true,
      databaseUrl: options.databaseUrl,
      keySize,
      caKeySize,
      ...(options.userKeysFrom === undefined ? {} : { userKeysFrom: options.userKeysFrom }),
      ...(options.directoryPerMinute === undefined ? {} : { directoryPerMinute: options.directoryPerMinute }),
      ...(options.schedulesApart === undefined ? {} : { schedulesApart: options.schedulesApart }),
      ...(options.policy === undefined ? {} : { policy: options.policy }),
      ...(mailboxDelayMs === undefined ? {} : { mailboxDelayMs }),
    },
    () => undefined,
  );
  return {
    system,
    company: new StoryCompany(system),
    stateDir,
    async end() {
      await system.stop();
      if (options.stateDir === undefined) rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** As a deployment does: every process of the functions ends, and begins again with the policy as its file says now. */
export async function newRevision(system: System): Promise<void> {
  const awaited = new Set<number>(system.functionsPids());
  const restarted = new Promise<void>((resolve) => {
    let left = awaited.size;
    system.onFunctionsRestart((pid) => {
      if (!awaited.has(pid) && --left === 0) resolve();
    });
  });
  for (const pid of awaited) process.kill(pid, 'SIGTERM');
  await restarted;
}

/** A pair as Google's API lists it. */
export interface GmailPair {
  readonly keyPairId: string;
  readonly pem: string;
  readonly enablementState: string;
  readonly privateKeyMetadata: readonly { readonly kaclsKeyMetadata?: { readonly kaclsData: string } }[];
}

export interface GmailIdentity {
  readonly emailAddress: string;
  readonly primaryKeyPairId?: string;
  readonly signAndEncryptKeyPairs?: {
    readonly signingKeyPairId: string;
    readonly encryptionKeyPairId: string;
  };
}

export interface CallRecord {
  readonly n: number;
  readonly method: string;
  readonly caller?: string;
  readonly status: number;
  readonly path: string;
  readonly cut?: string;
}

export interface AuditRecord {
  readonly id: string;
  readonly at: string;
  readonly userId?: string;
  readonly cause: { readonly source: string; readonly event: string };
  readonly step: string;
  readonly reason: string;
  readonly outcome: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface LedgerExport {
  readonly users: readonly UserView[];
  readonly audit: readonly AuditRecord[];
}

/** What a user holds, by Google's account and by ours. */
export interface Holdings {
  readonly view: UserView;
  readonly pairs: readonly GmailPair[];
  readonly identities: readonly GmailIdentity[];
  readonly unrevoked: readonly Certificate[];
}

const GMAIL_SCOPE = 'https://www.googleapis.com/auth/gmail.settings.basic';

export class StoryCompany extends CompanyClient {
  readonly #ready: ReadyLine;
  readonly #crlPath: string;

  constructor(system: Pick<System, 'ready' | 'crlUrl'>) {
    super(system.ready, COMPANY.superAdmin);
    this.#ready = system.ready;
    this.#crlPath = new URL(system.crlUrl).pathname.slice(1);
  }

  // The directory's admin

  /** Creates `name@acme.example`; answers the immutable id. */
  async hire(name: string, orgUnitPath = '/Staff'): Promise<string> {
    return await this.createUser(addressOf(name), name, 'Example', orgUnitPath);
  }

  /** Creates the user and waits until they are ready. */
  async hireReady(name: string): Promise<UserView> {
    await this.hire(name);
    return await this.waitForState(addressOf(name), 'ready');
  }

  async update(
    address: string,
    changes: { primaryEmail?: string; suspended?: boolean; archived?: boolean },
  ): Promise<void> {
    await (await this.directory()).users.update({ userKey: address, requestBody: changes });
  }

  async undelete(userId: string, orgUnitPath = '/Staff'): Promise<void> {
    await (await this.directory()).users.undelete({ userKey: userId, requestBody: { orgUnitPath } });
  }

  /** A harmless change that makes both event sources name the user: the way to have them looked at. */
  async nudge(address: string): Promise<void> {
    const alias = `${Math.random().toString(36).slice(2)}@${COMPANY.domain}`;
    await (await this.directory()).users.aliases.insert({ userKey: address, requestBody: { alias } });
  }

  // The user, or somebody in their settings, in Gmail

  async pairs(user: string): Promise<readonly GmailPair[]> {
    return ((await this.gmail(user, 'GET', 'keypairs'))['cseKeyPairs'] ?? []) as GmailPair[];
  }

  async identities(user: string): Promise<readonly GmailIdentity[]> {
    return ((await this.gmail(user, 'GET', 'identities'))['cseIdentities'] ?? []) as GmailIdentity[];
  }

  async gmail(user: string, method: string, path: string): Promise<Readonly<Record<string, unknown>>> {
    const token = await delegatedToken(this.#ready, user, [GMAIL_SCOPE]);
    const response = await fetch(new URL(`gmail/v1/users/me/settings/cse/${path}`, this.#ready.google), {
      method,
      headers: { authorization: `Bearer ${token}` },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} as ${user}: ${response.status} ${text}`);
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  }

  async holdings(user: string): Promise<Holdings> {
    const view = await this.user(user);
    if (view === undefined) throw new Error(`The ledger knows nobody called ${user}.`);
    const unrevoked = view.certificates.filter((certificate) => certificate.revocation === undefined);
    return { view, pairs: await this.pairs(user), identities: await this.identities(user), unrevoked };
  }

  /** The sentence and the state while somebody waits. */
  async standing(user: string): Promise<string> {
    const view = await this.user(user);
    return view === undefined ? 'unknown' : `${view.state}: ${view.reason}`;
  }

  async ledgerExport(): Promise<LedgerExport> {
    return (await this.ledger()) as LedgerExport;
  }

  // The emulator's switches

  async faults(request: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#post('faults', { reset: true, ...request });
  }

  /** A look that is under way when the clock jumps would see a little of both times, so it ends first. */
  override async moveClock(advance: string): Promise<void> {
    await this.drain();
    await super.moveClock(advance);
  }

  /** Moves the clock and waits for nothing; `again` gives hands whose token is still good afterwards. */
  async jump(advance: string): Promise<void> {
    await this.#post('clock', { advance });
  }

  async again(): Promise<StoryCompany> {
    const { admin } = this.#ready;
    const { token } = await this.#post('idtoken', { email: COMPANY.superAdmin, audience: admin });
    const ready = { ...this.#ready, adminToken: String(token) };
    return new StoryCompany({ ready, crlUrl: new URL(this.#crlPath, this.#ready.crl).href });
  }

  async noFaults(): Promise<void> {
    await this.#post('faults', { reset: true });
  }

  async switchCse(enabled: boolean, orgUnitPath = '/Staff'): Promise<void> {
    await this.#post('admin-console/cse', { orgUnitPath, enabled });
  }

  async setLicence(user: string, licensed: boolean): Promise<void> {
    await this.#post('admin-console/licence', { user, licensed });
  }

  async calls(): Promise<readonly CallRecord[]> {
    const response = await fetch(new URL('_emulator/calls?since=0', this.#ready.google));
    return ((await response.json()) as { calls: CallRecord[] }).calls;
  }

  async callsOf(method: string): Promise<readonly CallRecord[]> {
    return (await this.calls()).filter((call) => call.method === method);
  }

  /** The CRL that anybody can fetch, read by OpenSSL. */
  async crl(): Promise<PublishedCrl> {
    return readCrl(await this.published(this.#crlPath));
  }

  /** Waits until the published CRL satisfies the caller. */
  async crlThat(what: string, isSo: (crl: PublishedCrl) => boolean): Promise<PublishedCrl> {
    return await eventually(what, async () => {
      const crl = await this.crl();
      return isSo(crl) ? crl : undefined;
    });
  }

  /** Ends when the job has left `running`; answers it. */
  async jobEnd(id: string): Promise<Readonly<Record<string, unknown>>> {
    return await eventually(`the end of job ${id}`, async () => {
      const job = await this.job(id);
      return job['state'] === 'running' ? undefined : job;
    });
  }

  async #post(path: string, body: unknown): Promise<Readonly<Record<string, unknown>>> {
    const response = await fetch(new URL(`_emulator/${path}`, this.#ready.google), {
      method: 'POST',
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`_emulator/${path} answered ${response.status}: ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  }
}

export const addressOf = (name: string): string => `${name}@${COMPANY.domain}`;

/** Asks every 50 ms until there is an answer; throws naming what was waited for, at the latest after a minute. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined>,
  timeoutMs = 60_000,
): Promise<T> {
  const endsMs = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > endsMs) throw new Error(`${what} did not come about in ${timeoutMs / 1000} s.`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export const serials = (certificates: readonly Certificate[]): readonly string[] =>
  certificates.map((certificate) => certificate.serial);

/** The one element; throws when there are more or fewer. */
export function only<T>(values: readonly T[]): T {
  const [first, second] = values;
  if (first === undefined || second !== undefined) throw new Error(`There are ${values.length}, not one.`);
  return first;
}
