/**
 * The hands of the people in the story: an admin in the Directory API and in Sealwright's admin API, and users in
 * Gmail. Google's own client library makes the directory calls, with a token from the service-account key file.
 */
import { OAuth2Client } from 'google-auth-library';
import { admin, type admin_directory_v1 } from 'googleapis/build/src/apis/admin/index.js';
import { delegatedToken } from '../local/delegated-token.ts';
import type { ReadyLine } from '../local/system.ts';

export interface Certificate {
  readonly serial: string;
  readonly state: string;
  readonly issuer?: string;
  readonly addresses: readonly string[];
  readonly notAfter: string;
  readonly certificate?: string;
  readonly keypairId?: string;
  readonly keyProof?: string;
  readonly purpose?: string;
  readonly revocation?: { readonly reason: string; readonly revokedAt: string };
  readonly retirement?: { readonly dueAt: string };
}

export interface UserView {
  readonly userId: string;
  readonly user: string;
  readonly state: string;
  readonly reason: string;
  readonly certificates: readonly Certificate[];
}

export interface HeldSetView {
  readonly digest: string;
  readonly scope: string;
  readonly reason: string;
  readonly users: number;
}

export interface OpenedMail {
  readonly subject: string;
  readonly text: string;
  readonly signed?: { readonly valid: boolean; readonly signer?: string };
  readonly encrypted?: { readonly keyPairId?: string } | false;
  readonly problems: readonly string[];
}

const DIRECTORY_SCOPES = [
  'https://www.googleapis.com/auth/admin.directory.user',
  'https://www.googleapis.com/auth/admin.directory.orgunit',
  'https://www.googleapis.com/auth/admin.directory.group',
];

export class CompanyClient {
  readonly #ready: ReadyLine;
  readonly #superAdmin: string;
  #adminToken: string;

  constructor(ready: ReadyLine, superAdmin: string) {
    this.#ready = ready;
    this.#superAdmin = superAdmin;
    this.#adminToken = ready.adminToken;
  }

  /** The Directory API as the super admin, by domain-wide delegation. Tokens end when the clock moves: one per call. */
  async directory(): Promise<admin_directory_v1.Admin> {
    const auth = new OAuth2Client();
    auth.setCredentials({
      access_token: await delegatedToken(this.#ready, this.#superAdmin, DIRECTORY_SCOPES),
    });
    return admin({ version: 'directory_v1', rootUrl: this.#ready.google, auth });
  }

  async createUser(
    address: string,
    givenName: string,
    familyName: string,
    orgUnitPath: string,
  ): Promise<string> {
    const directory = await this.directory();
    const { data } = await directory.users.insert({
      requestBody: {
        primaryEmail: address,
        name: { givenName, familyName },
        password: 'correct horse battery',
        orgUnitPath,
      },
    });
    return data.id ?? '';
  }

  async moveUser(address: string, orgUnitPath: string): Promise<void> {
    await (await this.directory()).users.update({ userKey: address, requestBody: { orgUnitPath } });
  }

  async deleteUser(address: string): Promise<void> {
    await (await this.directory()).users.delete({ userKey: address });
  }

  /** Undefined while Sealwright has not seen the user. */
  async user(name: string): Promise<UserView | undefined> {
    const response = await this.#admin('GET', `v1/users/${encodeURIComponent(name)}`);
    if (response.status === 404) return undefined;
    return (await okJson(response)) as unknown as UserView;
  }

  /** Waits until the user is in this state; throws with the state and reason it got stuck in. */
  async waitForState(name: string, state: string, timeoutMs = 60_000): Promise<UserView> {
    return await this.waitFor(name, `the state ${state}`, (view) => view.state === state, timeoutMs);
  }

  async waitFor(
    name: string,
    what: string,
    isSo: (view: UserView) => boolean,
    timeoutMs = 60_000,
  ): Promise<UserView> {
    const endsMs = performance.now() + timeoutMs;
    for (;;) {
      const view = await this.user(name);
      if (view !== undefined && isSo(view)) return view;
      if (performance.now() > endsMs) {
        const seen = view === undefined ? 'unknown to Sealwright' : `${view.state} (${view.reason})`;
        throw new Error(`${name} did not reach ${what}; now: ${seen}.`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async rekey(body: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>> {
    return await okJson(await this.#admin('POST', 'v1/rekey', body));
  }

  /** What a policy file would do to everybody. */
  async whatIf(policy: string): Promise<Readonly<Record<string, unknown>>> {
    return await okJson(await this.#admin('POST', 'v1/policy/what-if', { policy }));
  }

  async job(id: string): Promise<Readonly<Record<string, unknown>>> {
    return await okJson(await this.#admin('GET', `v1/jobs/${id}`));
  }

  /** What the guard holds and nobody has decided on. */
  async heldSets(): Promise<readonly HeldSetView[]> {
    const { sets } = await okJson(await this.#admin('GET', 'v1/held'));
    return sets as HeldSetView[];
  }

  async approveHeld(digest: string): Promise<Readonly<Record<string, unknown>>> {
    return await okJson(await this.#admin('POST', `v1/held/${digest}/approve`, {}));
  }

  /** Every user and every audit entry: the ledger's export. */
  async ledger(): Promise<unknown> {
    const users: UserView[] = [];
    for (const { user } of await this.#pages<{ user: string }>('v1/users', 'users')) {
      const view = await this.user(user);
      if (view !== undefined) users.push(view);
    }
    return { users, audit: await this.audit() };
  }

  /** Every line of the audit trail, oldest first. */
  async audit(): Promise<readonly unknown[]> {
    return await this.#pages('v1/audit', 'entries');
  }

  async moveClock(advance: string): Promise<void> {
    await okJson(await this.#control('clock', { advance }));
    await this.drain();
    // An ID token lives for an hour of the moved clock.
    const { token } = await okJson(
      await this.#control('idtoken', { email: this.#superAdmin, audience: this.adminAudience }),
    );
    this.#adminToken = String(token);
  }

  /** What the `sealwright` command needs to be this admin. */
  get commandEnvironment(): Readonly<Record<string, string>> {
    return { SEALWRIGHT_ADMIN_URL: this.#ready.admin, SEALWRIGHT_ADMIN_TOKEN: this.#adminToken };
  }

  get adminAudience(): string {
    return this.#ready.admin;
  }

  async now(): Promise<Date> {
    const { now } = await okJson(await fetch(new URL('_emulator/clock', this.#ready.google)));
    return new Date(String(now));
  }

  async drain(): Promise<void> {
    const answer = await okJson(await this.#control('drain', { timeoutMs: 60_000 }));
    if (answer['quiet'] !== true)
      throw new Error(`Work is still under way: ${JSON.stringify(answer['pending'])}`);
  }

  async addContact(address: string, pem: string): Promise<void> {
    await okJson(await this.#control('mail/contacts', { address, pem }));
  }

  async sendMail(mail: Readonly<Record<string, unknown>>): Promise<string> {
    const { id } = await okJson(await this.#control('mail', mail));
    return String(id);
  }

  async rawMail(user: string, id: string): Promise<Buffer> {
    const response = await fetch(new URL(`_emulator/mail/${user}/${id}`, this.#ready.google));
    if (!response.ok) throw new Error(`The message ${id} of ${user} answers ${response.status}.`);
    return Buffer.from(await response.arrayBuffer());
  }

  async openMail(user: string, id: string): Promise<OpenedMail> {
    const url = new URL(`_emulator/mail/${user}/${id}?view=opened`, this.#ready.google);
    return (await okJson(await fetch(url))) as unknown as OpenedMail;
  }

  /** What Gmail got: the pairs of a user as Google's API lists them. */
  async keypairs(
    user: string,
  ): Promise<readonly { keyPairId: string; pem: string; enablementState: string }[]> {
    const token = await delegatedToken(this.#ready, user, [
      'https://www.googleapis.com/auth/gmail.settings.basic',
    ]);
    const url = new URL('gmail/v1/users/me/settings/cse/keypairs', this.#ready.google);
    const { cseKeyPairs = [] } = await okJson(
      await fetch(url, { headers: { authorization: `Bearer ${token}` } }),
    );
    return cseKeyPairs as { keyPairId: string; pem: string; enablementState: string }[];
  }

  /** The PKCS#7 that was uploaded, which Google itself never gives back. */
  async uploadedPkcs7(user: string, keyPairId: string): Promise<Buffer> {
    const response = await fetch(new URL(`_emulator/gmail/uploads/${user}/${keyPairId}`, this.#ready.google));
    if (!response.ok) throw new Error(`The upload of ${keyPairId} answers ${response.status}.`);
    return Buffer.from(await response.arrayBuffer());
  }

  async published(path: string): Promise<Buffer> {
    const response = await fetch(new URL(path, this.#ready.crl));
    if (!response.ok) throw new Error(`${path} is not published (${response.status}).`);
    return Buffer.from(await response.arrayBuffer());
  }

  async #pages<T>(path: string, field: string): Promise<T[]> {
    const all: T[] = [];
    for (let after: string | undefined; ; ) {
      const query = after === undefined ? '' : `?after=${after}`;
      const page = await okJson(await this.#admin('GET', `${path}${query}`));
      all.push(...((page[field] ?? []) as T[]));
      if (page['next'] === undefined) return all;
      after = String(page['next']);
    }
  }

  #admin(method: string, path: string, body?: unknown): Promise<Response> {
    return fetch(new URL(path, this.#ready.admin), {
      method,
      headers: { authorization: `Bearer ${this.#adminToken}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  #control(path: string, body: unknown): Promise<Response> {
    return fetch(new URL(`_emulator/${path}`, this.#ready.google), {
      method: 'POST',
      body: JSON.stringify(body),
    });
  }
}

async function okJson(response: Response): Promise<Record<string, unknown>> {
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${text.slice(0, 500)}`);
  return JSON.parse(text) as Record<string, unknown>;
}
