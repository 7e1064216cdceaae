/**
 * Gmail's client-side encryption settings, `users.settings.cse.*`, with the checks, states and refusals of the real
 * ones as far as they are known. Vocabulary: a *key pair* is a leaf, its chain and the wrapped private key; an
 * *identity* binds an address to key pairs. Messages are not kept here, and nothing here opens a private key.
 */
import type { EmulatorContext } from '../core/context.ts';
import { notFound } from '../core/google-error.ts';
import type { Account, Accounts, HostNames, Room } from '../core/rooms.ts';
import { type Answer, type Call, jsonBody, ok, type Route } from '../core/route.ts';
import { accountOf, hasMailService, READ_SCOPES, WRITE_SCOPES } from './access.ts';
import type { CseAdministration } from './administration.ts';
import { ChainJudge } from './chain-judge.ts';
import { Identities } from './identities.ts';
import { KeyPairs } from './keypairs.ts';
import { DEFAULT_OPTIONS, type GmailOptions, mergeOptions } from './options.ts';
import { Quota, UNITS } from './quota.ts';
import { Revocation } from './revocation.ts';
import { judgeSigner, type SignerJudgement } from './signer.ts';
import { CseStore, type StoredKeyPair } from './store.ts';

export type { CseAdministration } from './administration.ts';
export { PROFILE } from './chain-rules.ts';
export type { GmailOptions } from './options.ts';
export type { SignerJudgement } from './signer.ts';

/** A key pair as the mail client sees it. */
export interface HeldKeyPair {
  readonly keyPairId: string;
  readonly enabled: boolean;
  /** DER, leaf first, root last. */
  readonly certificates: readonly Buffer[];
  /** Where the private key is wrapped; undefined for a key on a smart card. */
  readonly wrapped: { readonly kaclsUri: string; readonly kaclsData: string } | undefined;
}

export interface Gmail extends Room {
  /** Why Gmail serves no CSE to this account now, as a sentence; undefined when it does. */
  refusal(account: Account): string | undefined;
  keyPairs(account: Account): readonly HeldKeyPair[];
  /** The key pairs of the identity of this address, if the account has one and they still exist. */
  identity(
    account: Account,
    address: string,
  ): { readonly signing: HeldKeyPair; readonly encryption: HeldKeyPair } | undefined;
  /** DER of the certificate that colleagues encrypt to, from the identity of that address. */
  publishedCertificate(address: string): Buffer | undefined;
  /** Judges the signer of a message that arrived at `arrivedAt`. */
  judgeSigner(
    certificates: readonly Buffer[],
    message: { from: string; arrivedAt: Date },
  ): Promise<SignerJudgement>;
}

export interface GmailDependencies {
  readonly accounts: Accounts;
  readonly administration: CseAdministration;
  /** Where CRLs are really served on this machine. */
  readonly hosts: HostNames;
}

const BASE = '/gmail/v1/users/:userId/settings/cse';

export function createGmail(context: EmulatorContext, dependencies: GmailDependencies): Gmail {
  const { accounts, administration, hosts } = dependencies;
  const settings = context.state.section<{ options: GmailOptions }>('gmailOptions', () => ({
    options: DEFAULT_OPTIONS,
  }));
  const store = new CseStore(context, accounts);
  const revocation = new Revocation(context.clock, hosts);
  const judge = new ChainJudge(context.clock, revocation, (address) => administration.trustedRoots(address));
  const options = (): GmailOptions => settings.options;
  const keyPairs = new KeyPairs({ clock: context.clock, store, judge, administration, options });
  const identities = new Identities(context.clock, store);
  const quota = new Quota(context);

  type Method = (call: Call, account: Account) => Answer | Promise<Answer>;
  const method = (
    id: string,
    verb: Route['verb'],
    path: string,
    access: keyof typeof UNITS,
    run: Method,
  ): Route => ({
    id: `gmail.users.settings.cse.${id}`,
    verb,
    path: `${BASE}/${path}`,
    scopes: access === 'write' ? WRITE_SCOPES : READ_SCOPES,
    handle: (call) => {
      const account = accountOf(call, accounts, administration);
      quota.spend(account.id, UNITS[access]);
      return run(call, account);
    },
  });

  const heldForm = (stored: StoredKeyPair): HeldKeyPair => {
    const kacls = stored.privateKeyMetadata.find((metadata) => metadata.kacls !== undefined)?.kacls;
    return {
      keyPairId: stored.keyPairId,
      enabled: stored.disabledAtMs === undefined,
      certificates: store.certificatesOf(stored),
      wrapped: kacls === undefined ? undefined : { kaclsUri: kacls.uri, kaclsData: kacls.data },
    };
  };
  const held = (account: Account, id: string): HeldKeyPair | undefined => {
    const found = store.find(account.id)?.keyPairs.find((pair) => pair.keyPairId === id);
    return found === undefined ? undefined : heldForm(found);
  };
  const identity: Gmail['identity'] = (account, address) => {
    const keys = store
      .find(account.id)
      ?.identities.find((candidate) => candidate.emailAddress === address.toLowerCase())?.keys;
    if (keys === undefined) return undefined;
    const [signingId, encryptionId] =
      keys.kind === 'primary'
        ? [keys.keyPairId, keys.keyPairId]
        : [keys.signingKeyPairId, keys.encryptionKeyPairId];
    const signing = held(account, signingId);
    const encryption = held(account, encryptionId);
    return signing === undefined || encryption === undefined ? undefined : { signing, encryption };
  };

  return {
    routes: [
      method('keypairs.create', 'POST', 'keypairs', 'write', (call, who) => keyPairs.create(call, who)),
      method('keypairs.list', 'GET', 'keypairs', 'read', (call, who) => keyPairs.list(call, who)),
      method('keypairs.get', 'GET', 'keypairs/:keyPairId', 'read', (call, who) => keyPairs.get(call, who)),
      method('keypairs.enable', 'POST', 'keypairs/:keyPairId\\:enable', 'write', (call, who) =>
        keyPairs.enable(call, who),
      ),
      method('keypairs.disable', 'POST', 'keypairs/:keyPairId\\:disable', 'write', (call, who) =>
        keyPairs.disable(call, who),
      ),
      method('keypairs.obliterate', 'POST', 'keypairs/:keyPairId\\:obliterate', 'write', (call, who) =>
        keyPairs.obliterate(call, who),
      ),
      method('identities.create', 'POST', 'identities', 'write', (call, who) => identities.create(call, who)),
      method('identities.list', 'GET', 'identities', 'read', (call, who) => identities.list(call, who)),
      method('identities.get', 'GET', 'identities/:cseEmailAddress', 'read', (call, who) =>
        identities.get(call, who),
      ),
      method('identities.patch', 'PATCH', 'identities/:emailAddress', 'write', (call, who) =>
        identities.patch(call, who),
      ),
      method('identities.delete', 'DELETE', 'identities/:cseEmailAddress', 'write', (call, who) =>
        identities.delete(call, who),
      ),
      {
        id: 'emulator.gmail.upload',
        verb: 'GET',
        path: '/_emulator/gmail/uploads/:user/:keyPairId',
        scopes: 'none',
        control: true,
        handle: (call) => {
          const { user = '', keyPairId = '' } = call.params;
          const account = accounts.byAddress(user) ?? accounts.deletedByAddress(user);
          const pair =
            account === undefined
              ? undefined
              : store.find(account.id)?.keyPairs.find((held) => held.keyPairId === keyPairId);
          if (pair === undefined) throw notFound(`${user} has uploaded no key pair ${keyPairId}.`);
          return ok(Buffer.from(pair.uploadedPkcs7), { 'content-type': 'application/x-pem-file' });
        },
      },
      {
        id: 'emulator.gmail.options',
        verb: 'POST',
        path: '/_emulator/gmail/options',
        scopes: 'none',
        control: true,
        handle: (call) => {
          settings.options = mergeOptions(settings.options, jsonBody(call));
          context.state.changed();
          return ok(settings.options);
        },
      },
    ],
    refusal: (account) =>
      hasMailService(account)
        ? administration.refusal(account)
        : `Gmail does not serve ${account.primaryEmail}: the account is suspended, archived or has no mailbox yet.`,
    keyPairs: (account) => (store.find(account.id)?.keyPairs ?? []).map(heldForm),
    identity,
    publishedCertificate: (address) => {
      const account = accounts.byAddress(address);
      return account === undefined ? undefined : identity(account, address)?.encryption.certificates[0];
    },
    judgeSigner: (certificates, message) =>
      judgeSigner(certificates, {
        ...message,
        trustedRoots: administration.trustedRoots(message.from),
        revocation,
      }),
  };
}
