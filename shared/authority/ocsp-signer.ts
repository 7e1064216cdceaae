/**
 * The delegated OCSP signer of an issuer, replaced weekly. Its key is made here, goes straight into Secret Manager and is
 * forgotten; the function that makes it cannot read it back, and the function that reads it (`sign`) cannot make one.
 */
import type { IssuerRecord } from '../domain/records.ts';
import { isSealwrightError, permanent } from '../errors.ts';
import { readIssuer } from '../pki/certificate.ts';
import { generateEcKey } from '../pki/key.ts';
import { type CaSubject, readName } from '../pki/name.ts';
import { ATTRIBUTE_OIDS } from '../pki/oids.ts';
import { drawSerial, type RandomBytes } from '../pki/serial.ts';
import { buildOcspSigner } from '../pki/service-certificate.ts';
import type { Clock } from '../ports/clock.ts';
import type { OcspLedger, StoredOcspSigner } from '../ports/ledger/ocsp.ts';
import type { Secrets } from '../ports/secrets.ts';
import type { Signing } from '../ports/signing.ts';

export interface OcspSignerDeps {
  readonly clock: Clock;
  readonly ledger: Pick<OcspLedger, 'ocspSigners' | 'recordOcspSignerIntent' | 'readOcspSigner'>;
  readonly signing: Pick<Signing, 'signOcspSigner'>;
  readonly secrets: Pick<Secrets, 'add'>;
  /** Full secret name, `projects/P/secrets/S`; each signer's key becomes a version of it. */
  readonly ocspKeySecret: string;
  readonly random: RandomBytes;
}

const DAY_MS = 86_400_000;
const VALIDITY_DAYS = 14;
const RENEW_BEFORE_MS = 7 * DAY_MS;
/** An intent older than this is not finished but replaced: its notBefore must be near the signing time. */
const INTENT_LASTS_MS = DAY_MS;
const SERIAL_DRAWS = 3;

/** The signer to use now, made where there is none or the present one has a week left or less. */
export async function readySigner(deps: OcspSignerDeps, issuer: IssuerRecord): Promise<StoredOcspSigner> {
  const nowMs = deps.clock.now().getTime();
  const issuerEndsMs = readIssuer(issuer.certificateDer).certificate.notAfter.at.getTime();
  const lasts = ({ notAfter }: StoredOcspSigner) =>
    notAfter.getTime() >= Math.min(nowMs + RENEW_BEFORE_MS, issuerEndsMs);
  const signers = (await deps.ledger.ocspSigners(issuer.issuerId)).filter(lasts);
  const signed = signers.find(({ certificateDer }) => certificateDer !== undefined);
  if (signed !== undefined) return signed;
  const unfinished = signers.find(({ notBefore }) => nowMs - notBefore.getTime() < INTENT_LASTS_MS);
  const serialHex = unfinished?.serialHex ?? (await intendSigner(deps, issuer));
  await deps.signing.signOcspSigner(serialHex);
  const signer = await deps.ledger.readOcspSigner(serialHex);
  if (signer?.certificateDer === undefined) {
    throw new Error(`bug: the OCSP signer ${serialHex} was signed and the ledger does not know`);
  }
  return signer;
}

/** P-256: a signature takes a twentieth of a millisecond and 70 bytes, and every client of today reads it. */
async function intendSigner(deps: OcspSignerDeps, issuer: IssuerRecord): Promise<string> {
  const { pkcs8Der, spkiDer } = await generateEcKey('P-256');
  let keySecretVersion: string;
  try {
    keySecretVersion = await deps.secrets.add(deps.ocspKeySecret, pkcs8Der);
  } finally {
    pkcs8Der.fill(0);
  }
  const now = deps.clock.now();
  for (let draw = 1; ; draw += 1) {
    const { tbsDer, serialHex, profile, notBefore, notAfter } = buildOcspSigner({
      issuer,
      spkiDer,
      subject: signerSubject(issuer, now),
      serialHex: drawSerial(deps.random),
      now,
      validityDays: VALIDITY_DAYS,
    });
    try {
      await deps.ledger.recordOcspSignerIntent({
        issuerId: issuer.issuerId,
        serialHex,
        spkiDer,
        keySecretVersion,
        profile,
        notBefore,
        notAfter,
        tbsDer,
      });
      return serialHex;
    } catch (error) {
      if (!isSealwrightError(error) || error.code !== 'conflict' || draw === SERIAL_DRAWS) throw error;
    }
  }
}

/** Country and organization are the issuer's. */
function signerSubject(issuer: IssuerRecord, now: Date): CaSubject {
  const attributes = readName(readIssuer(issuer.certificateDer).certificate.subjectDer);
  const attribute = (oid: string) => attributes.find((candidate) => candidate.oid === oid)?.value;
  const country = attribute(ATTRIBUTE_OIDS.countryName);
  const organization = attribute(ATTRIBUTE_OIDS.organizationName);
  if (country === undefined || organization === undefined) {
    throw permanent(
      'issuer-not-ready',
      `The certificate of issuer ${issuer.issuerId} names no country and organization, which its OCSP signer would take over: leave the OCSP address of this issuer out, or record one that has them.`,
    );
  }
  return { country, organization, commonName: `S/MIME OCSP signer ${now.toISOString().slice(0, 10)}` };
}
