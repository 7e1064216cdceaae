/**
 * Obliterating a key pair: what stands against it, and what it costs. Pure. Nothing here decides that a pair is
 * obliterated; two admins do, and this is asked again before the second confirms and once more when the turn comes.
 */
import { createHash } from 'node:crypto';
import type { GmailFacts } from '../domain/gmail.ts';
import type { UserLedger, WrappedKeyRecord } from '../domain/records.ts';

/** Gmail obliterates only what has been disabled for more than this. */
export const OBLITERATE_AFTER_MS = 30 * 86_400_000;

/** Why the pair must not be obliterated now, in a sentence; undefined where nothing stands against it. */
export function whyNotObliterate(
  disabledAt: Date | undefined,
  now: Date,
  keypairId: string,
): string | undefined {
  if (disabledAt === undefined) {
    return `Key pair ${keypairId} is not disabled: disable it first, and wait more than 30 days.`;
  }
  if (now.getTime() - disabledAt.getTime() > OBLITERATE_AFTER_MS) return undefined;
  const from = new Date(disabledAt.getTime() + OBLITERATE_AFTER_MS);
  return `Key pair ${keypairId} is disabled since ${disabledAt.toISOString()}, which is not more than 30 days: it can be obliterated after ${from.toISOString()}.`;
}

/** The same by Gmail's own account, which also knows whether an identity still uses the pair. */
export function whyGmailForbidsObliterating(
  gmail: GmailFacts,
  now: Date,
  keypairId: string,
): string | undefined {
  if (gmail.kind !== 'observed') return 'Gmail did not say what it has.';
  const pair = gmail.keypairs.find((candidate) => candidate.keypairId === keypairId);
  if (pair === undefined) return undefined;
  const user = gmail.identities.find(({ use }) =>
    use.kind === 'dual'
      ? use.keypairId === keypairId
      : use.signingKeypairId === keypairId || use.encryptionKeypairId === keypairId,
  );
  if (user !== undefined) return `The identity ${user.address} uses key pair ${keypairId}.`;
  return whyNotObliterate(pair.enabled ? undefined : pair.disabledAt, now, keypairId);
}

/** What Gmail can never open again, for anybody, once a pair is obliterated. */
export interface ObliterationStatement {
  readonly userId: string;
  readonly user: string;
  readonly keypairId: string;
  /** Since when the pair is disabled, ISO 8601. */
  readonly disabledAt: string;
  /**
   * The certificates mail may have been encrypted to, each with the time in which senders could: from its notBefore until it
   * ran out or was revoked. An imported one has its import id for a serial. Empty for a key that only signs.
   */
  readonly epochs: readonly {
    readonly serial: string;
    readonly from: string;
    readonly to: string;
    readonly addresses: readonly string[];
  }[];
  /** Other pairs of the user that hold the same key; whether Gmail opens this epoch's mail with them is not known. */
  readonly sameKey: readonly string[];
  /**
   * With the pair the wrapped key in the ledger is erased, unless something needs it then. Absent where the admins were asked before that was
   * so: then it stays.
   */
  readonly takesWrappedKey?: true;
}

/** Undefined where the ledger does not know the pair, or it is not disabled. */
export function obliterationStatement(
  ledger: UserLedger,
  keypairId: string,
): ObliterationStatement | undefined {
  const { user, keys, keypairs } = ledger;
  const pair = keypairs.find((candidate) => candidate.keypairId === keypairId);
  const certificates = certificatesOf(ledger);
  const certificate = certificates.find(({ serialHex }) => serialHex === pair?.serialHex);
  if (user === undefined || certificate === undefined || pair?.disabled === undefined) return undefined;
  const key = keys.find(({ keyId }) => keyId === certificate.keyId);
  const siblings = new Set(
    certificates
      .filter(({ keyId, serialHex }) => keyId === certificate.keyId && serialHex !== certificate.serialHex)
      .map(({ serialHex }) => serialHex),
  );
  return {
    userId: user.userId,
    user: user.primaryEmail,
    keypairId,
    disabledAt: pair.disabled.at.toISOString(),
    epochs:
      key?.purpose === 'signing'
        ? []
        : [
            {
              serial: certificate.serialHex,
              from: certificate.notBefore.toISOString(),
              to: certificate.until.toISOString(),
              addresses: certificate.addresses,
            },
          ],
    sameKey: keypairs.flatMap(({ serialHex, keypairId: other }) =>
      siblings.has(serialHex) && other !== undefined ? [other] : [],
    ),
    takesWrappedKey: true,
  };
}

/** The key of a pair, by the certificate it was recorded with; undefined where it has no wrapped form. */
export function wrappedKeyOf(ledger: UserLedger, keypairId: string): WrappedKeyRecord | undefined {
  const serialHex = ledger.keypairs.find((pair) => pair.keypairId === keypairId)?.serialHex;
  const keyId = ledger.leaves.find((leaf) => leaf.serialHex === serialHex)?.keyId;
  const key = ledger.keys.find((candidate) => candidate.keyId === keyId);
  if (key !== undefined) return key.card === undefined ? key : undefined;
  return ledger.imported?.find(({ importId }) => importId === serialHex)?.key;
}

/**
 * What needs the wrapped key although this pair is gone, without a full stop; undefined where nothing does, by ledger and Gmail. Then
 * nobody opens what was encrypted to it any more, whoever is asked.
 */
export function whyWrappedKeyStays(
  ledger: UserLedger,
  gmail: GmailFacts,
  { spkiSha256Hex }: WrappedKeyRecord,
  keypairId: string,
  now: Date,
): string | undefined {
  const imports = ledger.imported ?? [];
  // The same key may stand in several rows, each with a wrapped form of its own.
  const rows = [...ledger.keys, ...imports.map(({ key }) => key)];
  const keyIds = new Set(rows.flatMap((row) => (row.spkiSha256Hex === spkiSha256Hex ? row.keyId : [])));
  const leaves = ledger.leaves.filter((leaf) => keyIds.has(leaf.keyId));
  const imported = imports.filter(({ key }) => keyIds.has(key.keyId));
  const good = leaves.find(({ revocation, notAfter }) => revocation === undefined && notAfter > now);
  if (good !== undefined)
    return `certificate ${good.serialHex} over the same key is good until ${good.notAfter.toISOString()}`;
  if (imported.some(({ state }) => state === 'open')) return 'an import of the key waits for its turn';
  const serials = new Set([
    ...leaves.map(({ serialHex }) => serialHex),
    ...imported.map(({ importId }) => importId),
  ]);
  if ((ledger.keyMoves ?? []).some(({ serialHex }) => serials.has(serialHex)))
    return 'the key is being moved to another key service';
  const certificates = new Set([
    ...leaves.flatMap(({ leafDer }) => (leafDer === undefined ? [] : sha256Hex(leafDer))),
    ...imported.map(({ certificateSha256Hex }) => certificateSha256Hex),
  ]);
  const pairs = gmail.kind === 'observed' ? gmail.keypairs : [];
  const other = pairs.find(
    (pair) => pair.keypairId !== keypairId && certificates.has(pair.leafSha256Hex ?? ''),
  );
  return other === undefined ? undefined : `Gmail has key pair ${other.keypairId} over the same key`;
}

const sha256Hex = (der: Uint8Array): string => createHash('sha256').update(der).digest('hex');

interface EncryptedTo {
  /** Or the import id. */
  readonly serialHex: string;
  readonly keyId: string;
  readonly addresses: readonly string[];
  readonly notBefore: Date;
  readonly until: Date;
}

/** What mail may have been encrypted to: leaves of ours until they ran out or were revoked, and imported certificates. */
const certificatesOf = ({ leaves, imported = [] }: UserLedger): readonly EncryptedTo[] => [
  ...leaves.map((leaf) => ({
    ...leaf,
    until: new Date(
      Math.min(leaf.notAfter.getTime(), leaf.revocation?.revokedAt.getTime() ?? Number.POSITIVE_INFINITY),
    ),
  })),
  ...imported.map((one) => ({
    ...one,
    serialHex: one.importId,
    keyId: one.key.keyId,
    until: one.notAfter,
  })),
];

/** SHA-256, lower-case hex: what the second admin confirms. */
export const statementDigest = (statement: ObliterationStatement): string =>
  createHash('sha256')
    .update(
      JSON.stringify([
        statement.userId,
        statement.user,
        statement.keypairId,
        statement.disabledAt,
        statement.epochs.map(({ serial, from, to, addresses }) => [serial, from, to, addresses]),
        statement.sameKey,
        ...(statement.takesWrappedKey === true ? ['takes the wrapped key'] : []),
      ]),
    )
    .digest('hex');

/** The pair of the certificate a user who is still covered uses now: disabling it would only have it enabled again. */
export function isInUse({ user, leaves, keys, keypairs }: UserLedger, keypairId: string): boolean {
  const purposeOf = ({ keyId }: { keyId: string }) => keys.find((key) => key.keyId === keyId)?.purpose;
  if (user === undefined || user.state === 'leaving' || user.state === 'out') return false;
  const pair = keypairs.find((candidate) => candidate.keypairId === keypairId);
  const leaf = leaves.find(({ serialHex }) => serialHex === pair?.serialHex);
  if (leaf === undefined || leaf.revocation !== undefined || leaf.retirement !== undefined) return false;
  return !leaves.some(
    (other) =>
      other.state === 'signed' &&
      other.revocation === undefined &&
      purposeOf(other) === purposeOf(leaf) &&
      other.intendedAt.getTime() > leaf.intendedAt.getTime(),
  );
}
