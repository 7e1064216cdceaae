/** Small builders for facts, so that a test says only what matters to it. */
import type { DirectoryUser } from '../../shared/domain/directory-user.ts';
import type { GmailFacts, GmailIdentity, GmailKeypair } from '../../shared/domain/gmail.ts';
import type { Policy } from '../../shared/domain/policy.ts';
import type {
  CardKeyRecord,
  DeviceKeyRecord,
  LeafRecord,
  UserRecord,
  WishRecord,
  WrappedKeyRecord,
} from '../../shared/domain/records.ts';
import type { Facts } from '../../shared/plan/facts.ts';
import { policyOf, policyRule } from '../support/policy.ts';

export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;
export const NOW = new Date('2026-11-23T12:00:00Z');
export const KEY_SERVICE = 'https://kacls.acme.example';
export const USER_ID = '111222333444555666777';
export const ADDRESS = 'ana@acme.example';

export const later = (milliseconds: number, from = NOW) => new Date(from.getTime() + milliseconds);

export const policy: Policy = policyOf([policyRule({ keyServiceUrl: KEY_SERVICE })]);

export const directoryUser = (changes: Partial<DirectoryUser> = {}): DirectoryUser => ({
  userId: USER_ID,
  primaryEmail: ADDRESS,
  aliases: [],
  orgUnitPath: '/Staff',
  suspended: false,
  archived: false,
  mailboxReady: true,
  ...changes,
});

export const userKey = (keyId: string, changes: Partial<WrappedKeyRecord> = {}): WrappedKeyRecord => ({
  keyId,
  userId: USER_ID,
  purpose: 'dual-use',
  spkiSha256Hex: keyId.padEnd(64, '0'),
  spkiDer: new Uint8Array(),
  modulusBits: 3072,
  keyServiceUrl: KEY_SERVICE,
  wrappedKey: 'blob',
  proof: 'proven',
  createdAt: later(-10 * DAY_MS),
  ...changes,
});

export const cardKey = (keyId: string, changes: Partial<CardKeyRecord> = {}): CardKeyRecord => ({
  keyId,
  userId: USER_ID,
  purpose: 'dual-use',
  spkiSha256Hex: keyId.padEnd(64, '0'),
  spkiDer: new Uint8Array(),
  modulusBits: 2048,
  card: { description: `card ${keyId}` },
  proof: 'not-applicable',
  createdAt: later(-10 * DAY_MS),
  ...changes,
});

export const leaf = (serialHex: string, keyId: string, changes: Partial<LeafRecord> = {}): LeafRecord => ({
  serialHex,
  issuerId: 'issuer',
  userId: USER_ID,
  holder: 'key-service',
  keyId,
  purpose: 'dual-use',
  state: 'signed',
  addresses: [ADDRESS],
  notBefore: later(-10 * DAY_MS),
  notAfter: later(355 * DAY_MS),
  leafDer: Uint8Array.of(1),
  intendedAt: later(-10 * DAY_MS),
  ...changes,
});

export const deviceKey = (keyId: string, changes: Partial<DeviceKeyRecord> = {}): DeviceKeyRecord => ({
  keyId,
  userId: USER_ID,
  device: 'Ana’s phone',
  spkiSha256Hex: keyId.padEnd(64, '0'),
  spkiDer: new Uint8Array(),
  requestedBy: 'admin@acme.example',
  createdAt: NOW,
  ...changes,
});

export const userRow = (changes: Partial<UserRecord> = {}): UserRecord => ({
  userId: USER_ID,
  primaryEmail: ADDRESS,
  state: 'ready',
  reason: '',
  since: later(-10 * DAY_MS),
  failures: 0,
  ruleName: 'staff',
  ...changes,
});

export const wish = (wishId: string, changes: Partial<WishRecord> = {}): WishRecord => ({
  wishId,
  userId: USER_ID,
  jobId: 'job',
  reason: 'superseded',
  requestedBy: 'admin@acme.example',
  requestedAt: NOW,
  ...changes,
});

export const keypair = (
  keypairId: string,
  leafSha256Hex: string,
  changes: Partial<GmailKeypair> = {},
): GmailKeypair => ({
  keypairId,
  enabled: true,
  leafSha256Hex,
  subjectAddresses: [ADDRESS],
  ...changes,
});

export const identity = (keypairId: string, address = ADDRESS): GmailIdentity => ({
  address,
  use: { kind: 'dual', keypairId },
});

export const observed = (
  keypairs: readonly GmailKeypair[] = [],
  identities: readonly GmailIdentity[] = [],
): GmailFacts => ({
  kind: 'observed',
  keypairs,
  identities,
});

/** Facts of somebody just seen for the first time, in scope, with nothing. */
export function facts(changes: Partial<Facts> = {}): Facts {
  const ledger = changes.ledger ?? {
    user: userRow({ state: 'pending' }),
    keys: [],
    deviceKeys: [],
    leaves: [],
    keypairs: [],
    openWishes: [],
    notices: [],
  };
  return {
    userId: USER_ID,
    now: NOW,
    presence: { kind: 'present', user: directoryUser() },
    gmail: observed(),
    leafSha256BySerial: new Map(
      ledger.leaves
        .filter((entry) => entry.state === 'signed')
        .map((entry) => [entry.serialHex, fingerprint(entry.serialHex)]),
    ),
    printedAddresses: new Map(),
    namedByOthers: [],
    lostAddresses: [],
    formerAddresses: [],
    issuerStates: new Map([['issuer', 'active']]),
    ...changes,
    ledger,
  };
}

export const fingerprint = (serialHex: string): string => `sha-${serialHex}`;

/** Facts of somebody who has everything they need. */
export function settled(changes: Partial<Facts> = {}): Facts {
  return facts({
    ledger: {
      user: userRow(),
      keys: [userKey('k1')],
      deviceKeys: [],
      leaves: [leaf('0a01', 'k1')],
      keypairs: [{ serialHex: '0a01', userId: USER_ID, state: 'created', keypairId: 'pair-1' }],
      openWishes: [],
      notices: [],
    },
    gmail: observed([keypair('pair-1', fingerprint('0a01'))], [identity('pair-1')]),
    ...changes,
  });
}
