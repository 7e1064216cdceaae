/**
 * The root's own CRL. The root is offline, so this comes in two halves: making it, with the key and without a network;
 * and publishing it, with the network and without the key. Without a good one, whoever validates the whole chain refuses
 * every certificate, and Gmail every upload.
 */
import type { CrlEntry } from '../domain/packed-entries.ts';
import { madeOffline } from '../domain/recorded.ts';
import type { IssuerRecord } from '../domain/records.ts';
import type { RevocationReason } from '../domain/revocation-reason.ts';
import { invalidInput, retryable } from '../errors.ts';
import { readIssuer } from '../pki/certificate.ts';
import { buildCrl } from '../pki/crl.ts';
import { type Crl, readCrl, verifyCrl } from '../pki/crl-reader.ts';
import { assertSuccession } from '../pki/crl-succession.ts';
import { sameBytes } from '../pki/der-reader.ts';
import { issueCrl } from '../pki/issue.ts';
import type { Signer } from '../pki/signer.ts';
import type { AuthorityDeps } from './deps.ts';
import { CRL_CACHE_CONTROL, objectName } from './publish-crl.ts';

/** From when on somebody has to be told, before the root's CRL ends. */
export const ROOT_CRL_ALARM_MS = 60 * 86_400_000;

export interface RootCrlRequest {
  readonly rootDer: Uint8Array;
  readonly signer: Signer;
  /** The root's last CRL; what it lists stays listed. */
  readonly previousDer: Uint8Array;
  readonly now: Date;
  /** An issuing CA to revoke. */
  readonly revoke?: { readonly certificateDer: Uint8Array; readonly reason: RevocationReason };
}

/**
 * The next CRL of the root, good for six months, DER. Throws `settings-invalid` (invalid-input) naming what does not
 * fit: a previous CRL of another root, a clock that is behind it, a certificate that this root did not issue.
 */
export async function makeRootCrl(request: RootCrlRequest): Promise<Uint8Array> {
  const { rootDer, signer, now, revoke } = request;
  const root = readIssuer(rootDer).certificate;
  const previous = crlOf(request.previousDer, rootDer);
  if (now < previous.thisUpdate) {
    throw refused(
      'clock-behind',
      `This machine's clock says ${now.toISOString()}, and the last CRL was made at ${previous.thisUpdate.toISOString()}: set the clock right first.`,
    );
  }
  if (now < root.notBefore.at || now > root.notAfter.at) {
    throw refused(
      'root-not-valid',
      `The root is valid from ${root.notBefore.at.toISOString()} to ${root.notAfter.at.toISOString()}, and this machine's clock says ${now.toISOString()}.`,
    );
  }
  const kept = entriesOf(previous);
  const unsigned = buildCrl({
    issuerCertificateDer: rootDer,
    crlNumber: (previous.crlNumber ?? 0n) + 1n,
    now,
    entries: revoke === undefined ? kept : withRevoked(kept, revoke, rootDer, now),
    signatureAlgorithm: signer.algorithm,
  });
  return await issueCrl({
    tbsDer: madeOffline(unsigned.tbsDer),
    issuerCertificateDer: rootDer,
    signer,
    signingTime: now,
  });
}

function entriesOf(previous: Crl): CrlEntry[] {
  return [...previous.entries].map(([serialHex, { reason, revokedAt, invalidityDate, reasonCode }]) => {
    if (reason === undefined) {
      throw refused(
        'reason-unknown',
        `Serial ${serialHex} was revoked with the reason code ${reasonCode ?? '(none)'}, which this command would not write again: make this CRL with the tool that made the last one.`,
      );
    }
    return { serialHex, reason, revokedAt, ...(invalidityDate === undefined ? {} : { invalidityDate }) };
  });
}

function withRevoked(
  kept: readonly CrlEntry[],
  revoke: NonNullable<RootCrlRequest['revoke']>,
  rootDer: Uint8Array,
  now: Date,
): readonly CrlEntry[] {
  const { certificate } = readIssuer(revoke.certificateDer);
  if (!sameBytes(certificate.issuerDer, readIssuer(rootDer).certificate.subjectDer))
    throw refused('not-ours', 'The certificate to revoke was issued by another CA than this root.');
  if (kept.some(({ serialHex }) => serialHex === certificate.serialHex)) return kept;
  return [...kept, { serialHex: certificate.serialHex, reason: revoke.reason, revokedAt: now }];
}

function crlOf(crlDer: Uint8Array, rootDer: Uint8Array): Crl {
  if (!verifyCrl(crlDer, rootDer)) {
    throw refused(
      'another-root',
      'The CRL is none, is damaged, or is not signed by this root: give the one of the same root.',
    );
  }
  return readCrl(crlDer);
}

const refused = (problem: string, message: string) =>
  invalidInput('settings-invalid', message, { details: { problem } });

/** The root of an issuer, and the address that the certificate below it names for its CRL. */
export function rootOf(
  issuer: Pick<IssuerRecord, 'certificateDer' | 'chainDer'>,
): { readonly rootDer: Uint8Array; readonly crlUrl: string | undefined } | undefined {
  const rootDer = issuer.chainDer.at(-1);
  if (rootDer === undefined) return undefined;
  const below = issuer.chainDer.at(-2) ?? issuer.certificateDer;
  const crlUrl = readIssuer(below).extensions.cRLDistributionPoints?.[0]?.names[0]?.value;
  return { rootDer, crlUrl };
}

export interface RootCrlPublication {
  readonly url: string;
  readonly crlNumber: bigint;
  readonly entries: number;
  readonly nextUpdate: Date;
}

/**
 * Puts a new CRL of one of our roots where its issuing CAs say it is. Throws `settings-invalid` for a CRL of nobody's,
 * `publication-refused` for one that may not follow the published one, `storage-unavailable`, `storage-precondition`.
 * Publishing the same bytes again is done already, and a line of the trail all the same: the first may have stopped before its own.
 */
export async function publishRootCrl(
  deps: Pick<AuthorityDeps, 'clock' | 'ledger' | 'bucket'>,
  crlDer: Uint8Array,
): Promise<RootCrlPublication> {
  const issuers = await deps.ledger.issuers();
  const root = issuers
    .map((issuer) => rootOf(issuer))
    .find((candidate) => candidate !== undefined && verifyCrl(crlDer, candidate.rootDer));
  if (root?.crlUrl === undefined)
    throw refused(
      'another-root',
      'The CRL belongs to no root of the issuers in the ledger; nothing was published.',
    );
  const crl = crlOf(crlDer, root.rootDer);
  const name = objectName(root.crlUrl);
  const published = await deps.bucket.read(name);
  const answer = {
    url: root.crlUrl,
    crlNumber: crl.crlNumber ?? 0n,
    entries: crl.entries.size,
    nextUpdate: crl.nextUpdate ?? crl.thisUpdate,
  };
  const audit = (outcome: 'done' | 'already') =>
    deps.ledger.audit({
      cause: { source: 'admin', eventId: name, event: 'ca-root-crl' },
      step: 'root-crl-published',
      reason: 'A CRL of the root was published with "sealwright ca root-crl".',
      outcome,
      details: { crlNumber: String(answer.crlNumber), entries: answer.entries },
    });
  if (published !== undefined && sameBytes(published.bytes, crlDer)) {
    await audit('already');
    return answer;
  }
  if (published !== undefined) {
    const ends = new Map(
      issuers.map(({ certificateDer }) => {
        const { certificate } = readIssuer(certificateDer);
        return [certificate.serialHex, certificate.notAfter.at] as const;
      }),
    );
    assertSuccession(readCrl(published.bytes), crl, {
      now: deps.clock.now(),
      notAfterOf: (serialHex) => ends.get(serialHex),
    });
  }
  await deps.bucket.write({
    name,
    bytes: crlDer,
    contentType: 'application/pkix-crl',
    cacheControl: CRL_CACHE_CONTROL,
    ifGeneration: published?.generation ?? '0',
  });
  const visible = await deps.bucket.read(name);
  if (visible === undefined || !sameBytes(visible.bytes, crlDer))
    throw retryable(
      'storage-unavailable',
      `The CRL was written but is not what the bucket holds under ${name}.`,
    );
  await audit('done');
  return answer;
}
