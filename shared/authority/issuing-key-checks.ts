/** What is asked of the key and of the clock before an issuer is made, whichever way it comes. Nothing is written here. */
import { createHash } from 'node:crypto';
import { readIssuer } from '../pki/certificate.ts';
import { sameBytes } from '../pki/der-reader.ts';
import { sharedWithKnownKeys } from '../pki/known-keys.ts';
import { chainFinding } from '../pki/lint-chain.ts';
import { sharedAmong } from '../pki/weak-key.ts';
import type { Clock } from '../ports/clock.ts';
import type { Ledger } from '../ports/ledger.ts';
import { refused, refusedBy } from './new-issuer.ts';

/** Clocks of machines differ; this much is nothing. */
const TOLERATED_MS = 5 * 60_000;

/** The latest instant in the ledger, where this clock is behind it by more than clocks differ. */
export async function clockIsBehind({
  clock,
  ledger,
}: {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, 'latestInstant'>;
}): Promise<Date | undefined> {
  const latest = await ledger.latestInstant();
  return latest !== undefined && latest.getTime() - clock.now().getTime() >= TOLERATED_MS
    ? latest
    : undefined;
}

/** Throws `settings-invalid` (invalid-input), rule `clock-behind`: certificates would be dated, and judged, wrongly. */
export async function assertClockIsRight(deps: Parameters<typeof clockIsBehind>[0]): Promise<void> {
  const latest = await clockIsBehind(deps);
  if (latest === undefined) return;
  throw refused(
    'clock-behind',
    `This machine's clock says ${deps.clock.now().toISOString()}, and the ledger holds something of ${latest.toISOString()}: set the clock right first.`,
  );
}

/**
 * Refuses an issuing key that was revoked for compromise, that shares a number with any key known here, or that is the key of
 * another issuer: CRLs of both would carry the same name and key, and each would lack what the other lists; and a key whose
 * issuer the root has revoked must not come back under another certificate.
 *
 * `issuerId` is the issuer it is for, where that has a certificate already. Throws `settings-invalid` (invalid-input) with
 * `details.rule` `key-blocked`, `key-of-another-issuer` or `chain-weak-key`.
 */
export async function assertIssuingKeyIsNew(
  { ledger }: { readonly ledger: Pick<Ledger, 'readBlockedKey' | 'issuers' | 'knownPublicKeys'> },
  spkiDer: Uint8Array,
  issuerId?: string,
): Promise<void> {
  const blocked = await ledger.readBlockedKey(createHash('sha256').update(spkiDer).digest('hex'));
  if (blocked !== undefined) {
    throw refused(
      'key-blocked',
      `This key was revoked for compromise at ${blocked.blockedAt.toISOString()} with certificate ${blocked.serialHex} and is never certified again: take another key.`,
    );
  }
  const others = (await ledger.issuers())
    .filter((issuer) => issuer.issuerId !== issuerId)
    .map((issuer) => ({ ...issuer, spkiDer: readIssuer(issuer.certificateDer).certificate.spkiDer }));
  const same = others.find((other) => sameBytes(other.spkiDer, spkiDer));
  if (same !== undefined) {
    throw refused(
      'key-of-another-issuer',
      `This key is the key of issuer ${same.issuerId} (${same.state}): an issuer has a key of its own, because CRLs of both would carry one name and key and each would lack what the other lists. Take another key${same.state === 'prepared' ? ', or go on with that issuer: "sealwright ca roll --activate" puts it in force' : ''}.`,
    );
  }
  const weakness =
    (await sharedWithKnownKeys(ledger, spkiDer)) ??
    (await sharedAmong(spkiDer, once(others.map((other) => other.spkiDer))));
  if (weakness !== undefined) throw refusedBy(chainFinding('chain-weak-key', weakness.sentence), 1);
}

async function* once<T>(page: T): AsyncGenerator<T> {
  yield page;
}
