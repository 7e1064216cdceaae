/**
 * Makes a CA: the root offline (its key is handed back to the caller and goes nowhere else), the issuing key straight
 * into Secret Manager, certificates and the root's first CRL into the public bucket, the issuer into the ledger.
 */
import type { IssuerRecord } from '../domain/records.ts';
import { permanent } from '../errors.ts';
import { createRoot, makeIssuing } from '../pki/authority.ts';
import type { GenerateKey } from '../pki/key.ts';
import { drawSerial, type RandomBytes } from '../pki/serial.ts';
import type { Signer } from '../pki/signer.ts';
import type { Bucket } from '../ports/bucket.ts';
import type { Clock } from '../ports/clock.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { Secrets } from '../ports/secrets.ts';
import type { SigningKeys } from '../ports/signing-keys.ts';
import { issuingKey } from './issuing-key.ts';
import { newIssuer } from './new-issuer.ts';
import { CRL_CACHE_CONTROL, objectName } from './publish-crl.ts';

export interface SetUpDeps {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, 'activeIssuer' | 'recordIssuer'>;
  readonly secrets: Pick<Secrets, 'add'>;
  readonly signingKeys: SigningKeys;
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
  /** Instead of that: a version of a Cloud KMS key, which is there already and never leaves. */
  readonly kmsKeyVersion?: string;
  readonly policyOid: string;
  /** A policy of the CA/Browser Forum, for a CA that is audited against their requirements. */
  readonly reservedPolicyOid?: string;
  /** RSA bits of both CA keys. Default 4096. */
  readonly modulusBits?: number;
  /** Stands around the root's signer, so that what it signs is written down first. */
  readonly witness?: (root: Signer) => Signer;
}

export interface SetUpResult {
  readonly issuer: IssuerRecord;
  readonly rootDer: Uint8Array;
  /** The root's first CRL: the next one is made from it, offline. */
  readonly rootCrlDer: Uint8Array;
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
  const made = {
    country: request.country,
    organization: request.organization,
    now: deps.clock.now(),
    random: deps.random,
    ...(request.modulusBits === undefined ? {} : { modulusBits: request.modulusBits }),
    ...(deps.generateKey === undefined ? {} : { generateKey: deps.generateKey }),
  };
  const { kmsKeyVersion, keySecret } = request;
  const place = kmsKeyVersion === undefined ? { ...made, keySecret } : { kmsKeyVersion };
  const [root, key] = await bothOrNeither(
    createRoot({
      ...made,
      rootName: `${request.organization} S/MIME Root CA`,
      ...(request.witness === undefined ? {} : { witness: request.witness }),
    }),
    issuingKey(deps, place),
  );
  try {
    const certificateDer = await makeIssuing({
      root,
      subject: {
        country: request.country,
        organization: request.organization,
        commonName: `${request.organization} S/MIME Issuing CA 1`,
      },
      spkiDer: key.signer.spkiDer,
      serialHex: drawSerial(deps.random),
      now: made.now,
      rootCrlUrl,
      rootUrl,
      policyOids: {
        own: request.policyOid,
        ...(request.reservedPolicyOid === undefined ? {} : { reserved: request.reservedPolicyOid }),
      },
    });
    const keyVersion = await key.store();
    const chain = { certificateDer, chainDer: [root.certificateDer] };
    const issuer: IssuerRecord = { ...newIssuer(chain, keyVersion, base.href), state: 'active' };
    await publish(deps, rootUrl, root.certificateDer, 'application/pkix-cert');
    await publish(deps, rootCrlUrl, root.crlDer, CRL_TYPE);
    await publish(deps, issuer.issuerUrl, certificateDer, 'application/pkix-cert');
    await deps.ledger.recordIssuer(issuer);
    const { certificateDer: rootDer, crlDer: rootCrlDer, pkcs8Der: rootPkcs8Der } = root;
    return { issuer, rootDer, rootCrlDer, rootCrlUrl, rootPkcs8Der };
  } catch (error) {
    // Without a recorded issuer this CA does not exist, and neither may its root key.
    root.pkcs8Der.fill(0);
    throw error;
  } finally {
    key.wipe();
  }
}

/** Made side by side; where one fails, the other's key is forgotten too. */
async function bothOrNeither<R extends { pkcs8Der: Uint8Array }, K extends { wipe(): void }>(
  root: Promise<R>,
  key: Promise<K>,
): Promise<[R, K]> {
  const [madeRoot, madeKey] = await Promise.allSettled([root, key]);
  if (madeRoot.status === 'fulfilled' && madeKey.status === 'fulfilled')
    return [madeRoot.value, madeKey.value];
  if (madeRoot.status === 'fulfilled') madeRoot.value.pkcs8Der.fill(0);
  if (madeKey.status === 'fulfilled') madeKey.value.wipe();
  throw madeRoot.status === 'rejected' ? madeRoot.reason : (madeKey as PromiseRejectedResult).reason;
}

const CRL_TYPE = 'application/pkix-crl';

async function publish(deps: SetUpDeps, url: string, bytes: Uint8Array, contentType: string): Promise<void> {
  await deps.bucket.write({
    name: objectName(url),
    bytes,
    contentType,
    cacheControl: contentType === CRL_TYPE ? CRL_CACHE_CONTROL : 'public, max-age=3600',
    ifGeneration: '0',
  });
}
