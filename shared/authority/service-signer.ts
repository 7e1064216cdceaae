/**
 * The keys of the CA's own machinery, replaced before they end: one that signs OCSP answers, one that signs checkpoints of
 * the audit trail. A key is made here, goes straight into Secret Manager and is forgotten; the function that makes it
 * cannot read it back, and the function that reads it (`sign`) cannot make one.
 */
import type { IssuerRecord } from '../domain/records.ts';
import { isSealwrightError, permanent } from '../errors.ts';
import { readIssuer } from '../pki/certificate.ts';
import { generateEcKey } from '../pki/key.ts';
import { type CaSubject, readName } from '../pki/name.ts';
import { ATTRIBUTE_OIDS } from '../pki/oids.ts';
import { drawSerial, type RandomBytes } from '../pki/serial.ts';
import type { ServiceRequest, UnsignedService } from '../pki/service-certificate.ts';
import type { Clock } from '../ports/clock.ts';
import type { ServiceSignerIntent, StoredServiceSigner } from '../ports/ledger/service-signers.ts';
import type { Secrets } from '../ports/secrets.ts';

export interface ServiceSignerDeps {
  readonly clock: Clock;
  readonly secrets: Pick<Secrets, 'add'>;
  readonly random: RandomBytes;
}

/** One kind of signer: what its certificate says, and where the ledger keeps it. */
export interface ServiceSignerKind {
  /** "OCSP signer"; stands in its name and in errors. */
  readonly called: string;
  /** What to do about an issuer that such a signer cannot be made for. */
  readonly remedy: string;
  readonly validityDays: number;
  /** One that has this much left or less is replaced, milliseconds. */
  readonly renewBeforeMs: number;
  /** Full secret name, `projects/P/secrets/S`; each signer's key becomes a version of it. */
  readonly keySecret: string;
  build(request: ServiceRequest): UnsignedService;
  /** Those of the issuer that end after now, the one that ends last first, signed or not. */
  current(issuerId: string): Promise<readonly StoredServiceSigner[]>;
  intend(intent: ServiceSignerIntent): Promise<void>;
  sign(serialHex: string): Promise<unknown>;
  read(serialHex: string): Promise<StoredServiceSigner | undefined>;
}

export type ReadySigner = StoredServiceSigner & { readonly certificateDer: Uint8Array };

/** An intent older than this is not finished but replaced: its notBefore must be near the signing time. */
const INTENT_LASTS_MS = 86_400_000;
const SERIAL_DRAWS = 3;

/** The signer to use now, made where there is none or the present one is soon over. */
export async function readySigner(
  deps: ServiceSignerDeps,
  kind: ServiceSignerKind,
  issuer: IssuerRecord,
): Promise<ReadySigner> {
  const nowMs = deps.clock.now().getTime();
  const issuerEndsMs = readIssuer(issuer.certificateDer).certificate.notAfter.at.getTime();
  const lasts = ({ notAfter }: StoredServiceSigner) =>
    notAfter.getTime() >= Math.min(nowMs + kind.renewBeforeMs, issuerEndsMs);
  const signers = (await kind.current(issuer.issuerId)).filter(lasts);
  const signed = signers.find(isReady);
  if (signed !== undefined) return signed;
  const unfinished = signers.find(({ notBefore }) => nowMs - notBefore.getTime() < INTENT_LASTS_MS);
  const serialHex = unfinished?.serialHex ?? (await intendSigner(deps, kind, issuer));
  await kind.sign(serialHex);
  const signer = await kind.read(serialHex);
  if (signer === undefined || !isReady(signer)) {
    throw new Error(`bug: the ${kind.called} ${serialHex} was signed and the ledger does not know`);
  }
  return signer;
}

const isReady = (signer: StoredServiceSigner): signer is ReadySigner => signer.certificateDer !== undefined;

/** P-256: a signature takes a twentieth of a millisecond and 70 bytes, and every client of today reads it. */
async function intendSigner(
  deps: ServiceSignerDeps,
  kind: ServiceSignerKind,
  issuer: IssuerRecord,
): Promise<string> {
  const { pkcs8Der, spkiDer } = await generateEcKey('P-256');
  let keySecretVersion: string;
  try {
    keySecretVersion = await deps.secrets.add(kind.keySecret, pkcs8Der);
  } finally {
    pkcs8Der.fill(0);
  }
  const now = deps.clock.now();
  for (let draw = 1; ; draw += 1) {
    const { tbsDer, serialHex, profile, notBefore, notAfter } = kind.build({
      issuer,
      spkiDer,
      subject: signerSubject(kind, issuer, now),
      serialHex: drawSerial(deps.random),
      now,
      validityDays: kind.validityDays,
    });
    try {
      await kind.intend({
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
function signerSubject(kind: ServiceSignerKind, issuer: IssuerRecord, now: Date): CaSubject {
  const attributes = readName(readIssuer(issuer.certificateDer).certificate.subjectDer);
  const attribute = (oid: string) => attributes.find((candidate) => candidate.oid === oid)?.value;
  const country = attribute(ATTRIBUTE_OIDS.countryName);
  const organization = attribute(ATTRIBUTE_OIDS.organizationName);
  if (country === undefined || organization === undefined) {
    throw permanent(
      'issuer-not-ready',
      `The certificate of issuer ${issuer.issuerId} names no country and organization, which its ${kind.called} would take over: ${kind.remedy}`,
    );
  }
  return { country, organization, commonName: `S/MIME ${kind.called} ${now.toISOString().slice(0, 10)}` };
}
