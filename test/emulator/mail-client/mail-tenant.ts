/** A tenant whose users have mail clients and a key service. */
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createMailClient, type OpenedMessage } from '../../../emulator/mail-client/index.ts';
import type { Leaf, LeafRequest } from '../gmail/pki.ts';
import { Tenant } from '../gmail/tenant.ts';
import { WebHost } from '../gmail/web-host.ts';
import { TestKacls } from './kacls.ts';

export interface MailUser {
  readonly email: string;
  readonly accountId: string;
  readonly keyPairId: string;
  readonly leaf: Leaf;
}

export interface MailReply {
  readonly status: number;
  readonly body: {
    readonly id?: string;
    readonly delivered?: readonly string[];
    readonly external?: readonly string[];
    readonly messages?: readonly { id: string; from: string; to: string; subject: string }[];
    readonly error?: { readonly status: string; readonly message: string };
  };
}

export class MailTenant {
  readonly tenant: Tenant;
  readonly kacls: TestKacls;
  /** Another key service, at https://kacls.new.example/v1. */
  readonly newKacls: TestKacls;
  readonly #hosts: readonly WebHost[];

  private constructor(
    tenant: Tenant,
    [kacls, newKacls]: readonly [TestKacls, TestKacls],
    hosts: readonly WebHost[],
  ) {
    this.tenant = tenant;
    this.kacls = kacls;
    this.newKacls = newKacls;
    this.#hosts = hosts;
  }

  static async open(): Promise<MailTenant> {
    const kacls = new TestKacls();
    const newKacls = new TestKacls();
    const hosts = [
      await WebHost.open(['kacls.acme.example'], kacls.handle),
      await WebHost.open(['kacls.new.example'], newKacls.handle),
    ];
    const resolve = (url: URL) => hosts.map((host) => host.resolve(url)).find((found) => found !== undefined);
    const tenant = await Tenant.open({
      routes: ({ world, accounts, gmail }) =>
        createMailClient(world.context, {
          accounts,
          gmail,
          cseTokens: async (request) => ({
            authentication: JSON.stringify({ email: request.email }),
            authorization: JSON.stringify(request),
          }),
          fetch: (url, init) => fetch(resolve(new URL(String(url))) ?? String(url), init),
        }).routes,
    });
    return new MailTenant(tenant, [kacls, newKacls], hosts);
  }

  async close(): Promise<void> {
    await this.tenant.close();
    for (const host of this.#hosts) await host.close();
  }

  /** A user with an uploaded key pair and an identity. */
  async join(email: string, request: LeafRequest = {}): Promise<MailUser> {
    const accountId = this.tenant.accounts.add(email).id;
    const { leaf, keyPairId } = await this.newKeyPair(email, request);
    await this.tenant.client(email).users.settings.cse.identities.create({
      userId: 'me',
      requestBody: { emailAddress: email, primaryKeyPairId: keyPairId },
    });
    return { email, accountId, keyPairId, leaf };
  }

  /** A user with a key that signs and another that is encrypted to; `leaf` is that of the second, the tools' contact. */
  async joinSplit(email: string): Promise<MailUser & { readonly signing: Leaf }> {
    const accountId = this.tenant.accounts.add(email).id;
    const signing = await this.newKeyPair(email, {
      key: 'rsa-2048-signing',
      extensions: { keyUsage: 'critical,digitalSignature' },
    });
    const encryption = await this.newKeyPair(email, {
      key: 'rsa-2048-encryption',
      extensions: { keyUsage: 'critical,keyEncipherment' },
    });
    await this.tenant.client(email).users.settings.cse.identities.create({
      userId: 'me',
      requestBody: {
        emailAddress: email,
        signAndEncryptKeyPairs: {
          signingKeyPairId: signing.keyPairId,
          encryptionKeyPairId: encryption.keyPairId,
        },
      },
    });
    return { email, accountId, ...encryption, signing: signing.leaf };
  }

  async newKeyPair(email: string, request: LeafRequest = {}): Promise<{ leaf: Leaf; keyPairId: string }> {
    const leaf = this.tenant.pki.leaf(this.tenant.issuing, email, request);
    return { leaf, keyPairId: await this.tenant.upload(email, leaf, wrapped(leaf)) };
  }

  async control(method: string, path: string, body?: object | Buffer): Promise<MailReply> {
    const response = await this.#fetch(method, path, body);
    return { status: response.status, body: (await response.json()) as MailReply['body'] };
  }

  async send(draft: object): Promise<MailReply> {
    return this.control('POST', '', { subject: 'Plans', text: 'See you at noon.', ...draft });
  }

  /** Sends and answers the id; fails when the client refuses. */
  async sent(draft: object): Promise<string> {
    const { status, body } = await this.send(draft);
    if (status !== 200 || body.id === undefined) throw new Error(`Not sent: ${body.error?.message}`);
    return body.id;
  }

  async raw(user: string, id: string): Promise<{ type: string | null; bytes: Buffer }> {
    const response = await this.#fetch('GET', `/${user}/${id}`);
    return { type: response.headers.get('content-type'), bytes: Buffer.from(await response.arrayBuffer()) };
  }

  async opened(user: string, id: string): Promise<OpenedMessage> {
    return (await (await this.#fetch('GET', `/${user}/${id}?view=opened`)).json()) as OpenedMessage;
  }

  /** Puts a message of another mail program into the user's box. */
  async receive(user: string, message: Buffer): Promise<string> {
    const { body } = await this.control('POST', `/${user}`, message);
    return body.id ?? '';
  }

  #fetch(method: string, path: string, body?: object | Buffer): Promise<Response> {
    const content =
      body === undefined ? {} : { body: Buffer.isBuffer(body) ? new Uint8Array(body) : JSON.stringify(body) };
    return fetch(`${this.tenant.world.root}_emulator/mail${path}`, { method, ...content });
  }
}

export const wrapped = (leaf: Leaf): string =>
  createPrivateKey(readFileSync(leaf.keyPath)).export({ type: 'pkcs8', format: 'der' }).toString('base64');
