/** A tenant with client-side encryption on: accounts, an uploaded root, key pairs to upload, CRLs on a web host. */
import { OAuth2Client } from 'google-auth-library';
import { type gmail_v1, gmail as gmailClient } from 'googleapis/build/src/apis/gmail/index.js';
import { type AdminConsole, createAdminConsole } from '../../../emulator/admin-console/index.ts';
import type { Route } from '../../../emulator/core/route.ts';
import { createGmail, type Gmail } from '../../../emulator/gmail/index.ts';
import { EmulatorWorld } from '../core/world.ts';
import { TestAccounts } from './accounts.ts';
import { type Authority, type Leaf, OpenSslPki } from './pki.ts';
import { WebHost } from './web-host.ts';

export const SETTINGS_BASIC = 'https://www.googleapis.com/auth/gmail.settings.basic';
const SERVICE_ACCOUNT = 'sealwright-gmail@acme-sealwright.iam.gserviceaccount.com';
export const KACLS_URL = 'https://kacls.acme.example/v1';

/** What the web host serves at a path: bytes, or something else it does. */
export type Served =
  | Buffer
  | { readonly status: number; readonly headers?: Record<string, string> }
  | 'hangs'
  | 'hangs up';

export class Tenant {
  readonly world: EmulatorWorld;
  readonly accounts: TestAccounts;
  readonly pki: OpenSslPki;
  readonly root: Authority;
  readonly issuing: Authority;
  readonly adminConsole: AdminConsole;
  readonly gmail: Gmail;
  readonly web: Map<string, Served>;
  readonly webHost: WebHost;
  readonly #published = new Map<string, Buffer>();

  private constructor(parts: {
    world: EmulatorWorld;
    accounts: TestAccounts;
    pki: OpenSslPki;
    web: Map<string, Served>;
    webHost: WebHost;
  }) {
    this.world = parts.world;
    this.accounts = parts.accounts;
    this.pki = parts.pki;
    this.web = parts.web;
    this.webHost = parts.webHost;
    this.root = this.pki.authority('root');
    this.issuing = this.pki.authority('issuing', { issuer: this.root });
    this.adminConsole = createAdminConsole(this.world.context, { accounts: this.accounts });
    this.gmail = createGmail(this.world.context, {
      accounts: this.accounts,
      administration: this.adminConsole,
      hosts: this.webHost,
    });
    this.adminConsole.uploadRoot(this.issuing.pem + this.root.pem);
    this.publishCrls();
  }

  static async open(
    options: { stateFile?: string; routes?: (tenant: Tenant) => readonly Route[] } = {},
  ): Promise<Tenant> {
    const web = new Map<string, Served>();
    const webHost = await WebHost.open(['pki.acme.example'], (request, response) => {
      const served = web.get(request.url ?? '');
      if (served === 'hangs') return;
      if (served === 'hangs up') request.socket.destroy();
      else if (served === undefined) response.writeHead(404).end();
      else if (Buffer.isBuffer(served)) {
        response.writeHead(200, { 'content-type': 'application/pkix-crl' }).end(served);
      } else response.writeHead(served.status, served.headers).end();
    });
    const tenant = new Tenant({
      world: new EmulatorWorld(options.stateFile),
      accounts: new TestAccounts(),
      pki: new OpenSslPki(),
      web,
      webHost,
    });
    const more = options.routes?.(tenant) ?? [];
    await tenant.world.serve([...tenant.adminConsole.routes, ...tenant.gmail.routes, ...more]);
    return tenant;
  }

  async close(): Promise<void> {
    await this.world.close();
    await this.webHost.close();
    this.pki.close();
  }

  /** Publishes what has been revoked by now; both lists start an hour before the emulator's time. */
  publishCrls(): void {
    const now = this.world.clock.nowMs();
    const times = { thisUpdate: new Date(now - 3_600_000), nextUpdate: new Date(now + 7 * 86_400_000) };
    this.#published.set('/issuing.crl', this.pki.crl(this.issuing, times));
    this.#published.set('/root.crl', this.pki.crl(this.root, times));
    this.restoreCrls();
  }

  /** Serves the lists published last, whatever a test has put in their place. */
  restoreCrls(): void {
    for (const [path, crl] of this.#published) this.web.set(path, crl);
  }

  /** Google's own client with a delegated token of that user. */
  client(email: string, scopes: readonly string[] = [SETTINGS_BASIC]): gmail_v1.Gmail {
    return this.clientWith(
      this.world.tokenOf({ kind: 'user', email, scopes, serviceAccount: SERVICE_ACCOUNT }),
    );
  }

  clientWith(accessToken: string): gmail_v1.Gmail {
    const auth = new OAuth2Client();
    auth.setCredentials({ access_token: accessToken });
    return gmailClient({ version: 'v1', rootUrl: this.world.root, auth, retry: false });
  }

  pkcs7(leaf: Leaf): string {
    return this.pki.pkcs7(leaf, this.issuing, this.root);
  }

  /** Uploads a leaf of `issuing` for that user and answers the key pair's id. */
  async upload(
    email: string,
    leaf: Leaf = this.pki.leaf(this.issuing, email),
    wrapped = 'd3JhcHBlZA==',
  ): Promise<string> {
    const { data } = await this.client(email).users.settings.cse.keypairs.create({
      userId: 'me',
      requestBody: keyPair(this.pkcs7(leaf), wrapped),
    });
    return data.keyPairId ?? '';
  }
}

export const keyPair = (pkcs7: string, kaclsData = 'd3JhcHBlZA=='): gmail_v1.Schema$CseKeyPair => ({
  pkcs7,
  privateKeyMetadata: [{ kaclsKeyMetadata: { kaclsUri: KACLS_URL, kaclsData } }],
});

/** What Google's client throws, in the fields that clients of ours go by. */
export interface Refusal {
  readonly code: number;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** The refusal that a call ends in; fails when it succeeds. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  const outcome = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  const body = (outcome as { response?: { data?: { error?: unknown } } } | undefined)?.response?.data?.error;
  if (body === undefined) throw new Error('The call was expected to be refused.', { cause: outcome });
  const { code, status, message, errors } = body as {
    code: number;
    status: string;
    message: string;
    errors: readonly { reason: string }[];
  };
  return { code, status, message, reason: errors[0]?.reason ?? '' };
}
