/**
 * The CRL's own small loop; its subject is the issuer, not a user. Under the issuer's lease: number and exact bytes
 * are committed, `sign` signs them, the result is checked against what is published now, uploaded with a condition
 * on the object's generation, read back, and only then recorded as published.
 */
import { createHash } from 'node:crypto';
import type { Cause } from '../domain/hint.ts';
import type { IssuerRecord } from '../domain/records.ts';
import { isSealwrightError, permanent, retryable } from '../errors.ts';
import { CrlBuilder } from '../pki/crl-builder.ts';
import { IrregularEntries, Listing } from '../pki/crl-entries.ts';
import { CrlPartsReader, passing, readThrough, signedParts, whole } from '../pki/crl-parts.ts';
import { readCrl, verifyCrl } from '../pki/crl-reader.ts';
import { assertSuccession } from '../pki/crl-succession.ts';
import { assertPartsSuccession } from '../pki/crl-succession-parts.ts';
import { CrlVerifier } from '../pki/crl-verifier.ts';
import { DerError } from '../pki/der-reader.ts';
import type { Bucket } from '../ports/bucket.ts';
import type { Clock } from '../ports/clock.ts';
import type { AuditEntry, Lease, Ledger } from '../ports/ledger.ts';
import type { Log } from '../ports/log.ts';
import type { Signing } from '../ports/signing.ts';
import { everybodyRevoked } from './everybody-revoked.ts';

export interface PublishCrlDeps {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly signing: Signing;
  readonly bucket: Bucket;
  readonly log: Log;
  /** How long the issuer's lease lasts without a heartbeat, milliseconds. Default 60,000. */
  readonly leaseMs?: number;
}

export interface Publication {
  readonly issuerId: string;
  readonly crlNumber: bigint;
  readonly entries: number;
  readonly nextUpdate: Date;
}

const LEASE_MS = 60_000;
const DAY_MS = 86_400_000;
/** What every CRL is stored with, the root's too: caches hide a revocation for at most a minute. */
export const CRL_CACHE_CONTROL = 'public, max-age=60';

/** True when the public CRL lists everybody who is revoked and is good for another day. Reads no CRL: `due` asks each minute. */
export async function isCurrent(
  deps: {
    readonly clock: Clock;
    readonly ledger: Pick<Ledger, 'latestPublishedCrl' | 'hasUnlistedRevocations'>;
  },
  issuerId: string,
): Promise<boolean> {
  const published = await deps.ledger.latestPublishedCrl(issuerId);
  if (published === undefined) return false;
  if (published.nextUpdate.getTime() - deps.clock.now().getTime() < DAY_MS) return false;
  return !(await deps.ledger.hasUnlistedRevocations(issuerId));
}

/** Publishes one issuer's CRL. Throws `lease-held` (retryable) while somebody else does. */
export async function publishCrl(
  deps: PublishCrlDeps,
  issuer: IssuerRecord,
  { eventId, event }: { readonly eventId: string; readonly event: string },
): Promise<Publication> {
  const leaseMs = deps.leaseMs ?? LEASE_MS;
  const lease = await deps.ledger.acquireLease(`issuer:${issuer.issuerId}`, leaseMs);
  if (lease === undefined) {
    throw retryable('lease-held', `The CRL of issuer ${issuer.issuerId} is being published by another run.`, {
      retryAfterMs: 5_000,
    });
  }
  // A slow upload keeps its lease. Should a heartbeat fail, the lease runs out, and the last write says so.
  const heartbeat = setInterval(() => {
    deps.ledger.renewLease(lease, leaseMs).catch((error: unknown) => {
      deps.log.warning('lease-not-renewed', {
        issuerId: issuer.issuerId,
        message: error instanceof Error ? error.message : String(error),
      });
    });
  }, leaseMs / 3);
  try {
    const cause: Cause = { source: 'due', eventId, event };
    await finishEarlier(deps, lease, issuer, cause);
    const publication = await publishUnderLease(deps, lease, issuer, cause);
    deps.log.info('crl-published', { ...publication, crlNumber: String(publication.crlNumber) });
    return publication;
  } finally {
    clearInterval(heartbeat);
    // Whoever was turned away retries by itself; its request for one more look is answered by that.
    if ((await deps.ledger.releaseLease(lease)) !== 'released') await deps.ledger.releaseLease(lease);
  }
}

async function publishUnderLease(
  deps: PublishCrlDeps,
  lease: Lease,
  issuer: IssuerRecord,
  cause: Cause,
): Promise<Publication> {
  const name = objectName(issuer.crlUrl);
  const { crlNumber, nextUpdate, entryCount } = await intend(deps, lease, issuer);
  await deps.signing.signCrl(issuer.issuerId, crlNumber);
  const signed = await signedCrl(deps, issuer, crlNumber);
  const { ifGeneration, sha256Hex } = await checkAgainstPublished(deps, name, issuer, signed);
  await deps.bucket.write({
    name,
    bytes: signed.parts,
    contentType: 'application/pkix-crl',
    cacheControl: CRL_CACHE_CONTROL,
    ifGeneration,
  });
  if ((await visibleSha256Hex(deps, name)) !== sha256Hex) {
    throw retryable(
      'storage-unavailable',
      `CRL ${crlNumber} was uploaded but is not what the bucket holds now.`,
    );
  }
  await recordPublished(deps, lease, issuer, signed, {
    cause,
    step: 'crl-published',
    reason: 'A revocation or the schedule asked for it.',
    outcome: 'done',
    details: { ...publicationDetails(issuer, crlNumber), entries: entryCount },
  });
  await deps.ledger.pruneCrls(lease, issuer.issuerId);
  return { issuerId: issuer.issuerId, crlNumber, entries: entryCount, nextUpdate };
}

/** `atPublication`: the entry's time is that of the publication, which `audit verify` holds figures against. */
const publicationDetails = ({ issuerId }: IssuerRecord, crlNumber: bigint) => ({
  issuerId,
  crlNumber: String(crlNumber),
  atPublication: true,
});

/**
 * What a run that died left behind: a CRL that is public and not recorded as that, or of which not all is written down that it lists.
 * Without this the next CRL would be taken for the first one of whomever it lists.
 */
async function finishEarlier(
  deps: PublishCrlDeps,
  lease: Lease,
  issuer: IssuerRecord,
  cause: Cause,
): Promise<void> {
  const { issuerId } = issuer;
  const published = await deps.ledger.publicationToFinish(issuerId);
  if (published !== undefined) await finish(deps, lease, issuer, published);
  const latest = await deps.ledger.latestCrl(issuerId);
  if (latest?.state !== 'signed') return;
  const signed = await signedCrl(deps, issuer, latest.crlNumber);
  const visible = await visibleSha256Hex(deps, objectName(issuer.crlUrl));
  const recorded = await readable(deps, issuer, latest.crlNumber, () => sha256HexOf(signed.parts()));
  if (visible === undefined || visible !== recorded) return;
  await recordPublished(deps, lease, issuer, signed, {
    cause,
    step: 'crl-published',
    reason: 'An earlier run made it public and died before it said so; it was found to be public.',
    outcome: 'done',
    details: publicationDetails(issuer, latest.crlNumber),
  });
}

/** One whose bytes in the ledger were damaged can say nothing any more, and holds up no revocation: the next one is the first then. */
async function finish(
  deps: PublishCrlDeps,
  lease: Lease,
  issuer: IssuerRecord,
  crlNumber: bigint,
): Promise<void> {
  const signed = await signedCrl(deps, issuer, crlNumber);
  const isRead = await readable(deps, issuer, crlNumber, async () => {
    await recordPublished(deps, lease, issuer, signed);
    return true;
  });
  if (isRead !== true)
    await deps.ledger.recordPublishedCrl(lease, issuer.issuerId, crlNumber, async () => []);
}

/** Undefined, with a line in the log, where the bytes in the ledger are not those that were recorded. */
async function readable<T>(
  { log }: PublishCrlDeps,
  { issuerId }: IssuerRecord,
  crlNumber: bigint,
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!isSealwrightError(error) || error.code !== 'intent-mismatch') throw error;
    log.error('crl-not-finished', { issuerId, crlNumber: String(crlNumber), message: error.message });
    return undefined;
  }
}

async function recordPublished(
  { ledger }: PublishCrlDeps,
  lease: Lease,
  { issuerId }: IssuerRecord,
  { crlNumber, parts }: SignedCrl,
  audit?: AuditEntry,
): Promise<void> {
  const listing = new Listing(parts);
  await ledger.recordPublishedCrl(lease, issuerId, crlNumber, (serials) => listing.filter(serials), audit);
  await listing.stop();
}

/** Commits the next number and its exact bytes, which go into the ledger as they are encoded. */
async function intend(deps: PublishCrlDeps, lease: Lease, issuer: IssuerRecord) {
  // Taken before the list is read: whoever is revoked in between is revoked after this CRL's time, and in the next.
  const now = deps.clock.now();
  const previous = await deps.ledger.latestCrl(issuer.issuerId);
  // A number that was committed and then lost is burnt: numbers only grow.
  const builder = new CrlBuilder({
    issuerCertificateDer: issuer.certificateDer,
    crlNumber: (previous?.crlNumber ?? 0n) + 1n,
    now,
  });
  const { crlNumber, thisUpdate, nextUpdate } = builder;
  await deps.ledger.recordCrlIntent(lease, {
    issuerId: issuer.issuerId,
    crlNumber,
    thisUpdate,
    nextUpdate,
    text: {
      blocks: blocksListing(builder, everybodyRevoked(deps.ledger, issuer.issuerId)),
      around: () => builder.around(),
    },
  });
  return { crlNumber, nextUpdate, entryCount: builder.entryCount };
}

async function* blocksListing(
  builder: CrlBuilder,
  pages: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  for await (const page of pages) {
    builder.appendPacked(page);
    yield* builder.takeFinished();
  }
  yield* builder.takeRest();
}

interface SignedCrl {
  readonly crlNumber: bigint;
  /** The CRL from its beginning, each time. */
  readonly parts: () => AsyncIterable<Uint8Array>;
}

/** From the ledger and not in `sign`'s answer: Cloud Run lets no answer of more than 32 MB through. */
async function signedCrl(deps: PublishCrlDeps, issuer: IssuerRecord, crlNumber: bigint): Promise<SignedCrl> {
  const crl = await deps.ledger.readCrl(issuer.issuerId, crlNumber);
  const endDer = crl?.endDer;
  if (crl === undefined || endDer === undefined) {
    throw retryable(
      'signing-unavailable',
      `CRL ${crlNumber} was said to be signed and is not in the ledger.`,
    );
  }
  return { crlNumber, parts: () => signedParts(crl.tbsParts(), endDer) };
}

/**
 * Everything that is checked before the upload, in one pass over the new CRL and the one it replaces. That one's generation
 * is looked at as late as can be: whoever publishes between this look and the upload makes the upload fail, whoever did before
 * has the greater number. A signature that does not verify, an entry that vanished before its certificate's end, a number that
 * does not grow: each stops the publication.
 */
async function checkAgainstPublished(
  deps: PublishCrlDeps,
  name: string,
  issuer: IssuerRecord,
  next: SignedCrl,
): Promise<{ readonly ifGeneration: string; readonly sha256Hex: string }> {
  const published = await deps.bucket.readParts(name);
  const verifier = new CrlVerifier(issuer.certificateDer);
  const reader = new CrlPartsReader(verifier.digest);
  const digest = createHash('sha256');
  const parts = passing(next.parts(), (part) => digest.update(part));
  try {
    const { header } =
      published === undefined
        ? await readThrough(parts, reader)
        : await assertPartsSuccession(published.parts, parts, contextOf(deps), reader);
    if (!verifier.verifies(header)) throw unverified(next.crlNumber);
  } catch (error) {
    if (error instanceof IrregularEntries) return await checkInMemory(deps, name, issuer, next);
    throw unreadable(error);
  }
  return { ifGeneration: published?.generation ?? '0', sha256Hex: digest.digest('hex') };
}

const contextOf = (deps: PublishCrlDeps) => ({
  now: deps.clock.now(),
  notAfterOf: async (serialHex: string) => (await deps.ledger.readLeafIntent(serialHex))?.notAfter,
});

/** What is published was made by another CA's tools, which do not sort: once, before our first CRL replaces it. */
async function checkInMemory(
  deps: PublishCrlDeps,
  name: string,
  issuer: IssuerRecord,
  { parts, crlNumber }: SignedCrl,
): Promise<{ readonly ifGeneration: string; readonly sha256Hex: string }> {
  const published = await deps.bucket.read(name);
  const crlDer = await whole(parts());
  if (!verifyCrl(crlDer, issuer.certificateDer)) throw unverified(crlNumber);
  if (published !== undefined) {
    const previous = readCrl(published.bytes);
    const next = readCrl(crlDer);
    const notAfter = new Map<string, Date>();
    for (const serialHex of previous.entries.keys()) {
      if (next.entries.has(serialHex)) continue;
      const leaf = await deps.ledger.readLeafIntent(serialHex);
      if (leaf !== undefined) notAfter.set(serialHex, leaf.notAfter);
    }
    assertSuccession(previous, next, {
      now: deps.clock.now(),
      notAfterOf: (serialHex) => notAfter.get(serialHex),
    });
  }
  return {
    ifGeneration: published?.generation ?? '0',
    sha256Hex: createHash('sha256').update(crlDer).digest('hex'),
  };
}

const unverified = (crlNumber: bigint) =>
  permanent(
    'publication-refused',
    `The signature on CRL ${crlNumber} does not verify; nothing was published.`,
  );

const unreadable = (error: unknown): unknown =>
  error instanceof DerError
    ? permanent(
        'publication-refused',
        `The CRL cannot be read: ${error.message}. Publish a fresh one in its place.`,
        { cause: error },
      )
    : error;

async function visibleSha256Hex(deps: PublishCrlDeps, name: string): Promise<string | undefined> {
  const visible = await deps.bucket.readParts(name);
  return visible === undefined ? undefined : await sha256HexOf(visible.parts);
}

async function sha256HexOf(parts: AsyncIterable<Uint8Array>): Promise<string> {
  const digest = createHash('sha256');
  for await (const part of parts) digest.update(part);
  return digest.digest('hex');
}

/** `http://pki.acme.example/issuing-1.crl` → `issuing-1.crl`: the public site serves the bucket's objects by name. */
export const objectName = (url: string): string => decodeURIComponent(new URL(url).pathname.slice(1));
