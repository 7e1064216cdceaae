/**
 * Makes a CA: the root offline (its key is handed back to the caller and goes nowhere else), the issuing key straight
 * into Secret Manager, certificates and the root's first CRL into the public bucket, the issuer into the ledger.
 */
import { createHash } from 'node:crypto';
import type { IssuerRecord } from '../domain/records.ts';
import { permanent } from '../errors.ts';
import { createAuthority } from '../pki/authority.ts';
import type { GenerateKey } from '../pki/key.ts';
import type { RandomBytes } from '../pki/serial.ts';
import type { Bucket } from '../ports/bucket.ts';
import type { Clock } from '../ports/clock.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { Secrets } from '../ports/secrets.ts';
import { objectName } from './publish-crl.ts';

export interface SetUpDeps {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, 'activeIssuer' | 'recordIssuer'>;
  readonly secrets: Pick<Secrets, 'add'>;
  readonly bucket: Bucket;
  readonly random: RandomBytes;
  readonly generateKey?: GenerateKey;
}

export interface SetUpRequest {
  /** ISO 3166-1, two capital letters. */
  readonly country: string;
  readonly organization: string;
  /** Public address of the bucket, plain http, such as `http://pki.acme.example/`. */
  readonly pkiUrl: string;
  /** Full secret name, `projects/P/secrets/S`; the issuing key becomes a version of it. */
  readonly keySecret: string;
  readonly policyOid: string;
  /** RSA bits of both CA keys. Default 4096. */
  readonly modulusBits?: number;
}

export interface SetUpResult {
  readonly issuer: IssuerRecord;
  readonly rootDer: Uint8Array;
  /** Where the root's CRL is published; a new one goes there before six months are over. */
  readonly rootCrlUrl: string;
  /** The root's private key, PKCS#8. The caller encrypts it, stores it offline and wipes this buffer. */
  readonly rootPkcs8Der: Uint8Array;
}

/** Throws `conflict` (permanent) where an active issuer exists. */
export async function setUpAuthority(deps: SetUpDeps, request: SetUpRequest): Promise<SetUpResult> {
  const existing = await deps.ledger.activeIssuer();
  if (existing !== undefined) {
    throw permanent(
      'conflict',
      `There is an active issuer already (${existing.issuerId}); a second CA would split the company.`,
    );
  }
  const base = new URL(request.pkiUrl.endsWith('/') ? request.pkiUrl : `${request.pkiUrl}/`);
  // A name of its own for each root: old issuing certificates go on pointing at the one that issued them.
  const rootName = `root-${Buffer.from(deps.random(8)).toString('hex')}`;
  const rootUrl = new URL(`${rootName}.cer`, base).href;
  const rootCrlUrl = new URL(`${rootName}.crl`, base).href;
  const { root, issuing } = await createAuthority({
    country: request.country,
    organization: request.organization,
    rootName: `${request.organization} S/MIME Root CA`,
    issuingName: `${request.organization} S/MIME Issuing CA 1`,
    rootCrlUrl,
    rootUrl,
    policyOids: { own: request.policyOid },
    now: deps.clock.now(),
    random: deps.random,
    ...(request.modulusBits === undefined ? {} : { modulusBits: request.modulusBits }),
    ...(deps.generateKey === undefined ? {} : { generateKey: deps.generateKey }),
  });
  try {
    const keyVersion = await deps.secrets.add(request.keySecret, issuing.pkcs8Der);
    const issuerId = createHash('sha256').update(issuing.certificateDer).digest('hex').slice(0, 16);
    const issuer: IssuerRecord = {
      issuerId,
      certificateDer: issuing.certificateDer,
      chainDer: [root.certificateDer],
      keyVersion,
      // The name carries the issuer, so that a later issuer never publishes over this one's CRL.
      crlUrl: new URL(`issuing-${issuerId}.crl`, base).href,
      issuerUrl: new URL(`issuing-${issuerId}.cer`, base).href,
      state: 'active',
    };
    await publish(deps, rootUrl, root.certificateDer, 'application/pkix-cert');
    await publish(deps, rootCrlUrl, root.crlDer, 'application/pkix-crl');
    await publish(deps, issuer.issuerUrl, issuing.certificateDer, 'application/pkix-cert');
    await deps.ledger.recordIssuer(issuer);
    return { issuer, rootDer: root.certificateDer, rootCrlUrl, rootPkcs8Der: root.pkcs8Der };
  } catch (error) {
    // Without a recorded issuer this CA does not exist, and neither may its root key.
    root.pkcs8Der.fill(0);
    throw error;
  } finally {
    issuing.pkcs8Der.fill(0);
  }
}

async function publish(deps: SetUpDeps, url: string, bytes: Uint8Array, contentType: string): Promise<void> {
  await deps.bucket.write({
    name: objectName(url),
    bytes,
    contentType,
    cacheControl: 'public, max-age=3600',
    ifGeneration: '0',
  });
}
