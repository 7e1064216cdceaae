import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import type { GmailIdentity } from '../../../shared/domain/gmail.ts';
import { permanent, type SealwrightError } from '../../../shared/errors.ts';
import type { Gmail, PrivateKeyPlace } from '../../../shared/ports/gmail.ts';
import { type Element, elements } from '../elements.ts';
import type { ManualClock } from './clock.ts';
import type { FakeDirectory } from './directory.ts';
import { type Saved, stateCell } from './state.ts';

const FOREIGN_KEY = { keyServiceUrl: 'https://other.example', wrappedKey: 'foreign' } as const;

/** Whether somebody else made the pair (`addForeignPair`). */
export const isForeign = ({ privateKey }: FakePair): boolean =>
  'wrappedKey' in privateKey && privateKey.wrappedKey === FOREIGN_KEY.wrappedKey;

export interface FakePair {
  readonly keypairId: string;
  readonly leafSha256Hex: string;
  readonly leafDer: Uint8Array;
  readonly addresses: readonly string[];
  readonly keyUsages: readonly string[];
  readonly privateKey: PrivateKeyPlace;
  readonly enabled: boolean;
  readonly disabledAt?: Date;
}

export interface FakeAccount {
  readonly pairs: readonly FakePair[];
  /** What the identity of each address uses: an address has one identity or none. */
  readonly identities: ReadonlyMap<string, GmailIdentity['use']>;
}

/**
 * Gmail's client-side encryption settings in memory, as strict as Gmail is known to be: it reads the upload with
 * a parser of its own, checks the chain to a self-signed root, has one identity per address, takes an identity only for the
 * present primary address and an enabled pair, and answers 409 for what exists.
 */
export interface FakeGmail extends Gmail, Saved {
  account(userId: string): FakeAccount;
  /** What an admin or a user may do by hand. */
  deleteIdentityByHand(userId: string): void;
  disablePairsByHand(userId: string): void;
  addForeignPair(userId: string, leafDer: Uint8Array): string;
  setIdentityByHand(userId: string, keypairId: string): void;
  /** Switches client-side encryption for the user off or on. */
  setEnabled(userId: string, enabled: boolean): void;
  /** Whether a leaf that is there is taken again with another wrapped key; refused unless told. */
  takeSameLeafAgain(taken: boolean): void;
}

interface MutableAccount {
  pairs: FakePair[];
  identities: Map<string, GmailIdentity['use']>;
}

export function fakeGmail(directory: FakeDirectory, clock: ManualClock): FakeGmail {
  const cell = stateCell({
    accounts: new Map<string, MutableAccount>(),
    switchedOff: new Set<string>(),
    lastPair: 0,
    sameLeafAgain: false,
  });

  const accountOf = (userId: string): MutableAccount => {
    const account = cell.now.accounts.get(userId) ?? { pairs: [], identities: new Map() };
    cell.now.accounts.set(userId, account);
    return account;
  };

  const nextPairId = (): string => {
    cell.now.lastPair += 1;
    return `ANe1Bmg${cell.now.lastPair}`;
  };

  /** The account behind a mailbox that a token was delegated for. */
  function open(mailbox: string): MutableAccount {
    const user = directory.owner(mailbox);
    if (user === undefined) throw closed('delegation-refused', `There is no account ${mailbox}.`);
    if (!user.mailboxReady || user.suspended)
      throw closed('mailbox-not-ready', `Mail service not enabled for ${mailbox}.`);
    if (cell.now.switchedOff.has(user.userId))
      throw closed('cse-not-enabled', `Client-side encryption is off for ${mailbox}.`);
    return accountOf(user.userId);
  }

  function usablePairs(account: MutableAccount, use: GmailIdentity['use']): void {
    if (use.kind === 'dual') usablePair(account, use.keypairId, ['digitalSignature', 'keyEncipherment']);
    else {
      usablePair(account, use.signingKeypairId, ['digitalSignature']);
      usablePair(account, use.encryptionKeypairId, ['keyEncipherment']);
    }
  }

  function usablePair(account: MutableAccount, keypairId: string, usages: readonly string[]): void {
    const pair = account.pairs.find((candidate) => candidate.keypairId === keypairId);
    if (pair === undefined) throw permanent('gmail-refused', `There is no key pair ${keypairId}.`);
    if (!pair.enabled) throw permanent('gmail-refused', `Key pair ${keypairId} is disabled.`);
    const missing = usages.find((usage) => !pair.keyUsages.includes(usage));
    if (missing !== undefined)
      throw permanent('gmail-refused', `Key pair ${keypairId} may not be used for ${missing}.`);
  }

  const setEnablement = (mailbox: string, keypairId: string, enabled: boolean): void => {
    const account = open(mailbox);
    if (!account.pairs.some((pair) => pair.keypairId === keypairId))
      throw permanent('gmail-refused', `There is no key pair ${keypairId}.`);
    account.pairs = account.pairs.map((pair) => {
      if (pair.keypairId !== keypairId) return pair;
      const { disabledAt = clock.now(), ...rest } = pair;
      return { ...rest, enabled, ...(enabled ? {} : { disabledAt }) };
    });
  };

  return {
    save: cell.save,
    account: accountOf,
    deleteIdentityByHand: (userId) => accountOf(userId).identities.clear(),
    disablePairsByHand: (userId) => {
      const account = accountOf(userId);
      account.pairs = account.pairs.map((pair) => ({
        ...pair,
        enabled: false,
        disabledAt: pair.disabledAt ?? clock.now(),
      }));
    },
    addForeignPair: (userId, leafDer) => {
      const keypairId = nextPairId();
      accountOf(userId).pairs.push({
        keypairId,
        ...describeLeaf(new X509Certificate(leafDer)),
        privateKey: FOREIGN_KEY,
        enabled: true,
      });
      return keypairId;
    },
    setIdentityByHand: (userId, keypairId) => {
      const address = directory.living(userId)?.primaryEmail;
      if (address !== undefined) accountOf(userId).identities.set(address, { kind: 'dual', keypairId });
    },
    setEnabled: (userId, enabled) => {
      if (enabled) cell.now.switchedOff.delete(userId);
      else cell.now.switchedOff.add(userId);
    },

    takeSameLeafAgain: (taken) => {
      cell.now.sameLeafAgain = taken;
    },

    listKeypairs: async (mailbox) =>
      open(mailbox).pairs.map(({ keypairId, enabled, disabledAt, leafSha256Hex, addresses }) => ({
        keypairId,
        enabled,
        ...(disabledAt === undefined ? {} : { disabledAt }),
        leafSha256Hex,
        subjectAddresses: addresses,
      })),
    listIdentities: async (mailbox) =>
      [...open(mailbox).identities].map(([address, use]) => ({ address, use })),
    createKeypair: async (mailbox, { pkcs7Pem, privateKey, chainValidation }) => {
      const account = open(mailbox);
      const leaf = describeLeaf(leafOfChain(pkcs7Pem, chainValidation === 'none' ? undefined : clock.now()));
      if (chainValidation !== 'none' && !leaf.addresses.includes(mailbox))
        throw permanent('gmail-refused', `The certificate does not name ${mailbox}.`);
      const same = account.pairs.filter((pair) => pair.leafSha256Hex === leaf.leafSha256Hex);
      const repeated = same.some((pair) => JSON.stringify(pair.privateKey) === JSON.stringify(privateKey));
      if (cell.now.sameLeafAgain ? repeated : same.length > 0) return { kind: 'already-exists' };
      const keypairId = nextPairId();
      account.pairs.push({ keypairId, ...leaf, privateKey, enabled: true });
      return { kind: 'created', keypairId };
    },
    enableKeypair: async (mailbox, keypairId) => setEnablement(mailbox, keypairId, true),
    disableKeypair: async (mailbox, keypairId) => setEnablement(mailbox, keypairId, false),
    obliterateKeypair: async (mailbox, keypairId) => {
      const account = open(mailbox);
      const pair = account.pairs.find((candidate) => candidate.keypairId === keypairId);
      if (pair === undefined) return 'absent';
      const disabledMs =
        pair.disabledAt === undefined ? 0 : clock.now().getTime() - pair.disabledAt.getTime();
      if (disabledMs <= 30 * 86_400_000)
        throw permanent('gmail-refused', `Key pair ${keypairId} is not disabled for more than 30 days.`);
      account.pairs = account.pairs.filter((candidate) => candidate !== pair);
      return 'obliterated';
    },
    createIdentity: async (mailbox, { address, use }) => {
      const account = open(mailbox);
      if (address !== mailbox) throw permanent('gmail-refused', `${address} is not the primary address.`);
      if (account.identities.has(address)) return 'already-exists';
      usablePairs(account, use);
      account.identities.set(address, use);
      return 'created';
    },
    patchIdentity: async (mailbox, { address, use }) => {
      const account = open(mailbox);
      if (!account.identities.has(address)) return 'absent';
      usablePairs(account, use);
      account.identities.set(address, use);
      return 'patched';
    },
    deleteIdentity: async (mailbox, address) => {
      open(mailbox).identities.delete(address);
    },
  };
}

/** Without a stack, which takes longer to write than all the rest: a mailbox that is closed is nothing unusual here. */
function closed(...reason: Parameters<typeof permanent>): SealwrightError {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return permanent(...reason);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** The leaf of an upload whose chain is whole, in order, in date and signed from link to link. */
function leafOfChain(pkcs7Pem: string, now: Date | undefined): X509Certificate {
  const chain = certificatesOf(pkcs7Pem).map(certificateOf);
  const whole = chain.every((certificate, index) => {
    const issuer = chain[index + 1] ?? certificate;
    return (
      isSignedBy(certificate, issuer) &&
      (now === undefined || (certificate.validFromDate <= now && now <= certificate.validToDate))
    );
  });
  const [leaf] = chain;
  if (leaf === undefined || leaf.ca || chain.length < 2 || !whole)
    throw permanent('gmail-refused', 'The certificate chain is not whole or not valid.');
  return leaf;
}

/** As `elements`, refusing as Gmail does. */
function cut(der: Buffer): readonly Element[] {
  try {
    return elements(der);
  } catch (error) {
    throw permanent('gmail-refused', 'The upload is no DER.', { cause: error });
  }
}

/** Certificates of a certificates-only SignedData (RFC 5652 §5.1) in their order, as they were sent. */
function certificatesOf(pkcs7Pem: string): readonly Buffer[] {
  const base64 = /-----BEGIN PKCS7-----([\s\S]+?)-----END PKCS7-----/.exec(pkcs7Pem)?.[1];
  if (base64 === undefined) throw permanent('gmail-refused', 'The upload is no PKCS7 PEM.');
  const [contentInfo] = cut(Buffer.from(base64, 'base64'));
  const [, content] = elements(contentInfo?.content);
  const [signedData] = elements(content?.content);
  const certificates = elements(signedData?.content).find(({ tag }) => tag === 0xa0);
  return elements(certificates?.content).map(({ whole }) => whole);
}

/** CAs are read and verified once: they do not change between two uploads. */
const authorities = new Map<string, X509Certificate>();
const verified = new Set<string>();

function certificateOf(der: Buffer): X509Certificate {
  const text = der.toString('latin1');
  const known = authorities.get(text);
  if (known !== undefined) return known;
  const certificate = new X509Certificate(der);
  if (certificate.ca) authorities.set(text, certificate);
  return certificate;
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  const pair = certificate.ca ? `${certificate.fingerprint256} ${issuer.fingerprint256}` : undefined;
  if (pair !== undefined && verified.has(pair)) return true;
  if (!certificate.checkIssued(issuer) || !certificate.verify(publicKeyOf(issuer))) return false;
  if (pair !== undefined) verified.add(pair);
  return true;
}

const publicKeys = new WeakMap<X509Certificate, KeyObject>();

function publicKeyOf(issuer: X509Certificate): KeyObject {
  const key = publicKeys.get(issuer) ?? issuer.publicKey;
  publicKeys.set(issuer, key);
  return key;
}

function describeLeaf(leaf: X509Certificate) {
  const names = leaf.subjectAltName ?? '';
  const leafDer = new Uint8Array(leaf.raw);
  return {
    leafDer,
    leafSha256Hex: createHash('sha256').update(leafDer).digest('hex'),
    addresses: [...names.matchAll(/email:([^,\s]+)/g)].map((match) => match[1] ?? ''),
    keyUsages: keyUsagesOf(leafDer),
  };
}

/** The critical keyUsage extension of our leaves, found by its bytes: OID, TRUE, then a BIT STRING of one byte. */
const KEY_USAGE = Buffer.from('0603551d0f0101ff04040302', 'hex');

function keyUsagesOf(leafDer: Uint8Array): readonly string[] {
  const der = Buffer.from(leafDer);
  const start = der.indexOf(KEY_USAGE);
  const bits = start === -1 ? 0 : (der[start + KEY_USAGE.length + 1] ?? 0);
  return [
    ...((bits & 0x80) === 0 ? [] : ['digitalSignature']),
    ...((bits & 0x20) === 0 ? [] : ['keyEncipherment']),
  ];
}

/** The pairs an identity uses: one, or the signing and the encryption pair. */
export const pairsOfUse = (use: GmailIdentity['use']): readonly string[] =>
  use.kind === 'dual' ? [use.keypairId] : [use.signingKeypairId, use.encryptionKeypairId];
