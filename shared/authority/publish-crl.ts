/**
 * The CRL's own small loop; its subject is the issuer, not a user. Under the issuer's lease: number and exact bytes
 * are committed, `sign` signs them, the result is checked against what is published now, uploaded with a condition
 * on the object's generation, read back, and only then recorded as published.
 */
import type { IssuerRecord } from '../domain/records.ts';
import { permanent, retryable } from '../errors.ts';
import { buildCrl } from '../pki/crl.ts';
import { CrlBody } from '../pki/crl-body.ts';
import { readCrl, verifyCrl } from '../pki/crl-reader.ts';
import { assertSuccession } from '../pki/crl-succession.ts';
import type { Bucket } from '../ports/bucket.ts';
import type { Clock } from '../ports/clock.ts';
import type { Lease, Ledger } from '../ports/ledger.ts';
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
/** A revocation is hidden by caches for at most this long, in seconds. */
const CACHE_SECONDS = 60;

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
    const publication = await publishUnderLease(deps, lease, issuer);
    await deps.ledger.audit({
      cause: { source: 'due', eventId, event },
      step: 'crl-published',
      reason: 'A revocation or the schedule asked for it.',
      outcome: 'done',
      details: {
        issuerId: issuer.issuerId,
        crlNumber: String(publication.crlNumber),
        entries: publication.entries,
      },
    });
    deps.log.info('crl-published', { ...publication, crlNumber: String(publication.crlNumber) });
    return publication;
  } finally {
    clearInterval(heartbeat);
    // Whoever was turned away retries by itself; its request for one more look is answered by that.
    if ((await deps.ledger.releaseLease(lease)) === 'look-again') await deps.ledger.releaseLease(lease);
  }
}

async function publishUnderLease(
  deps: PublishCrlDeps,
  lease: Lease,
  issuer: IssuerRecord,
): Promise<Publication> {
  const name = objectName(issuer.crlUrl);
  const unsigned = await intend(deps, lease, issuer);
  await deps.signing.signCrl(issuer.issuerId, unsigned.crlNumber);
  const crlDer = await signedCrl(deps, issuer, unsigned.crlNumber);
  const { entries } = readCrl(crlDer);
  const ifGeneration = await generationToFollow(deps, name, crlDer);
  await deps.bucket.write({
    name,
    bytes: crlDer,
    contentType: 'application/pkix-crl',
    cacheControl: `public, max-age=${CACHE_SECONDS}`,
    ifGeneration,
  });
  if (!(await isVisible(deps, name, crlDer))) {
    throw retryable(
      'storage-unavailable',
      `CRL ${unsigned.crlNumber} was uploaded but is not what the bucket holds now.`,
    );
  }
  await deps.ledger.recordPublishedCrl(lease, issuer.issuerId, unsigned.crlNumber, (serialHex) =>
    entries.has(serialHex),
  );
  return {
    issuerId: issuer.issuerId,
    crlNumber: unsigned.crlNumber,
    entries: entries.size,
    nextUpdate: unsigned.nextUpdate,
  };
}

/**
 * Commits the next number and its exact bytes. They are let go of here and read again where they are needed: a long list
 * should be in memory twice at most.
 */
async function intend(deps: PublishCrlDeps, lease: Lease, issuer: IssuerRecord) {
  // Taken before the list is read: whoever is revoked in between is revoked after this CRL's time, and in the next.
  const now = deps.clock.now();
  const previous = await deps.ledger.latestCrl(issuer.issuerId);
  const body = new CrlBody();
  for await (const page of everybodyRevoked(deps.ledger, issuer.issuerId))
    for (const entry of page) body.append(entry);
  // A number that was committed and then lost is burnt: numbers only grow.
  const { tbsDer, ...unsigned } = buildCrl({
    issuerCertificateDer: issuer.certificateDer,
    crlNumber: (previous?.crlNumber ?? 0n) + 1n,
    now,
    entries: body,
  });
  await deps.ledger.recordCrlIntent(lease, { issuerId: issuer.issuerId, ...unsigned, tbsDer });
  return unsigned;
}

/** From the ledger and not in `sign`'s answer: Cloud Run lets no answer of more than 32 MB through. */
async function signedCrl(deps: PublishCrlDeps, issuer: IssuerRecord, crlNumber: bigint): Promise<Uint8Array> {
  const crlDer = await deps.ledger.readSignedCrl(issuer.issuerId, crlNumber);
  if (crlDer === undefined) {
    throw retryable(
      'signing-unavailable',
      `CRL ${crlNumber} was said to be signed and is not in the ledger.`,
    );
  }
  if (verifyCrl(crlDer, issuer.certificateDer)) return crlDer;
  throw permanent(
    'publication-refused',
    `The signature on CRL ${crlNumber} does not verify; nothing was published.`,
  );
}

async function isVisible(deps: PublishCrlDeps, name: string, crlDer: Uint8Array): Promise<boolean> {
  const visible = await deps.bucket.read(name);
  return visible !== undefined && Buffer.compare(visible.bytes, crlDer) === 0;
}

/**
 * Generation of the object that this CRL replaces, looked at as late as can be: whoever publishes between this look and
 * the upload makes the upload fail, whoever did before has the greater number. An entry that vanished before its
 * certificate's end stops the publication, and so does a number that does not grow.
 */
async function generationToFollow(deps: PublishCrlDeps, name: string, nextDer: Uint8Array): Promise<string> {
  const published = await deps.bucket.read(name);
  if (published === undefined) return '0';
  const previous = readCrl(published.bytes);
  const next = readCrl(nextDer);
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
  return published.generation;
}

/** `http://pki.acme.example/issuing-1.crl` → `issuing-1.crl`: the public site serves the bucket's objects by name. */
export const objectName = (url: string): string => decodeURIComponent(new URL(url).pathname.slice(1));
