/**
 * What every way to a new issuer has in common (made under our root, imported, signed elsewhere): the checks of its chain,
 * its row and its public objects. Nothing is written before the last check has passed.
 */
import { createHash } from 'node:crypto';
import type { IssuerRecord } from '../domain/records.ts';
import { invalidInput, isSealwrightError, permanent } from '../errors.ts';
import { readIssuer } from '../pki/certificate.ts';
import { chainMember } from '../pki/chain-path.ts';
import { generateRsaKey } from '../pki/key.ts';
import { buildLeaf } from '../pki/leaf.ts';
import { type ChainFinding, chainFinding, errorsOf, lintChain } from '../pki/lint-chain.ts';
import { derToPem } from '../pki/pem.ts';
import { drawSerial } from '../pki/serial.ts';
import type { Bucket } from '../ports/bucket.ts';
import type { AuthorityDeps } from './deps.ts';
import { objectName } from './publish-crl.ts';

export interface IssuerChain {
  readonly certificateDer: Uint8Array;
  /** Above it, nearest first, root last. */
  readonly chainDer: readonly Uint8Array[];
}

/** By its certificate: one issuer is one certificate. */
export const issuerIdOf = (certificateDer: Uint8Array): string =>
  createHash('sha256').update(certificateDer).digest('hex').slice(0, 16);

/** The row of a new issuer, prepared. The names carry the issuer, so that no other publishes over its CRL. */
export function newIssuer(chain: IssuerChain, keyVersion: string, pkiUrl: string): IssuerRecord {
  const base = new URL(pkiUrl.endsWith('/') ? pkiUrl : `${pkiUrl}/`);
  const issuerId = issuerIdOf(chain.certificateDer);
  return {
    issuerId,
    ...chain,
    keyVersion,
    crlUrl: new URL(`issuing-${issuerId}.crl`, base).href,
    issuerUrl: new URL(`issuing-${issuerId}.cer`, base).href,
    // One path for all issuers and certificates: a CertID says which.
    ocspUrl: new URL('ocsp', base).href,
    state: 'prepared',
  };
}

/**
 * Refuses, naming the first rule that is broken and how to mend it, a chain that Gmail would refuse, whose issuing CA
 * is none, ends within half a year, has a weak or short key, or lacks its root. Throws `settings-invalid`
 * (invalid-input) with `details.rule`. Certificates of the chain in any order; answers them sorted.
 */
export function checkedChain(
  certificatesDer: readonly Uint8Array[],
  spkiDer: Uint8Array,
  now: Date,
): IssuerChain {
  const own = certificatesDer.filter((der) => Buffer.compare(spkiOf(der), spkiDer) === 0);
  const [certificateDer] = own;
  if (certificateDer === undefined) {
    throw refused(
      'chain-key-mismatch',
      `None of the ${certificatesDer.length} certificates belongs to the key: export the CA's certificate together with its own key.`,
    );
  }
  if (own.length > 1)
    throw refused(
      'chain-ambiguous',
      `${own.length} certificates belong to the key: give the one to use alone.`,
    );
  if (!chainMember(certificateDer).isCa)
    throw refusedBy(chainFinding('chain-issuer-not-ca', 'a certificate that is no CA beside the key'), 1);
  const rest = certificatesDer.filter((der) => der !== certificateDer);
  const pem = [certificateDer, ...rest].map((der) => derToPem('CERTIFICATE', der)).join('');
  const report = lintChain(Buffer.from(pem), { now, expects: 'issuing' });
  const first = report.certificates[0];
  const fatal = [
    ...errorsOf(report),
    ...(first?.findings ?? []).filter(({ rule }) => rule === 'chain-issuer-ends-soon'),
  ];
  const [worst] = fatal.toSorted((left, right) => place(left) - place(right));
  if (worst !== undefined) throw refusedBy(worst, fatal.length);
  const sorted = report.certificates.map(({ sha256Hex }) => {
    const der = certificatesDer.find(
      (candidate) => createHash('sha256').update(candidate).digest('hex') === sha256Hex,
    );
    if (der === undefined)
      throw new Error(`The linter named a certificate ${sha256Hex} that it was not given.`);
    return der;
  });
  if (sorted[0] !== certificateDer) {
    throw refused(
      'chain-issuer-not-ca',
      'The certificate that belongs to the key stands not at the foot of the chain: leave certificates below it out.',
    );
  }
  return { certificateDer, chainDer: sorted.slice(1) };
}

/** What an admin should hear first: that it is no CA says more than that its key usage is incomplete. */
const FIRST = ['chain-issuer-not-ca', 'chain-expired', 'chain-intermediate-missing', 'chain-root-missing'];
const place = ({ rule }: ChainFinding): number => {
  const index = FIRST.indexOf(rule);
  return index < 0 ? FIRST.length : index;
};

/** By a rule of the chain linter, in its words; `count` findings there are in all. */
export function refusedBy(finding: ChainFinding, count: number) {
  const more = count > 1 ? ` (and ${count - 1} more; "sealwright lint FILE" lists all)` : '';
  return refused(finding.rule, `${finding.sentence} Found: ${finding.found}. ${finding.fix}${more}`);
}

/** Why no issuer is made of what was given: `settings-invalid` (invalid-input) with `details.rule`. */
export const refused = (rule: string, message: string) =>
  invalidInput('settings-invalid', message, { details: { rule } });

const spkiOf = (der: Uint8Array): Uint8Array => {
  try {
    return readIssuer(der).certificate.spkiDer;
  } catch (error) {
    throw isSealwrightError(error)
      ? refused('chain-certificate-unreadable', `A certificate of the chain cannot be read: ${error.message}`)
      : error;
  }
};

/**
 * Builds and lints a leaf under the issuer, for a key that is thrown away: an issuer whose certificates would all be
 * refused must not be recorded. Throws `settings-invalid` with the broken rules.
 */
export async function assertCanIssue(
  deps: Pick<AuthorityDeps, 'clock' | 'random' | 'generateKey'>,
  issuer: IssuerRecord,
): Promise<void> {
  const policies = readIssuer(issuer.certificateDer).extensions.certificatePolicies ?? [];
  if (policies.length === 0) {
    throw refused(
      'issuer-cannot-issue',
      "The CA's certificate names no certificate policy, so its certificates could name none, and Gmail wants one: ask for a CA certificate with a policy of your own.",
    );
  }
  const { spkiDer } = await (deps.generateKey ?? generateRsaKey)(2048);
  try {
    buildLeaf({
      issuer,
      spkiDer,
      addresses: ['somebody@sample.example'],
      serialHex: drawSerial(deps.random),
      now: deps.clock.now(),
      validityDays: 90,
    });
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    throw refused('issuer-cannot-issue', `No certificate could be issued under this CA: ${error.message}`);
  }
}

/**
 * Puts the issuer's certificate where its leaves will say it is, and the row into the ledger as prepared, and asks for the
 * first CRL. Repeating it after any failure does no harm. Throws `conflict` for an issuer that is past being prepared.
 */
export async function prepareIssuer(
  deps: Pick<AuthorityDeps, 'ledger' | 'bucket' | 'bus'>,
  issuer: IssuerRecord,
): Promise<void> {
  await recordPrepared(deps, issuer);
  await deps.bus.requestCrl(issuer.issuerId);
}

/** The same without asking for a CRL. */
export async function recordPrepared(
  deps: Pick<AuthorityDeps, 'ledger' | 'bucket'>,
  issuer: IssuerRecord,
): Promise<void> {
  const known = await deps.ledger.readIssuer(issuer.issuerId);
  if (known !== undefined && known.state !== 'prepared') {
    throw permanent(
      'conflict',
      `The issuer ${issuer.issuerId} is in the ledger already and is ${known.state}.`,
    );
  }
  await putObject(deps.bucket, issuer.issuerUrl, issuer.certificateDer, 'application/pkix-cert');
  await deps.ledger.recordIssuer(issuer);
}

/** Writes a public object that is there under the same name only with the same bytes. Throws `conflict` otherwise. */
export async function putObject(
  bucket: Bucket,
  url: string,
  bytes: Uint8Array,
  contentType: string,
): Promise<void> {
  const name = objectName(url);
  const there = await bucket.read(name);
  if (there !== undefined) {
    if (Buffer.compare(there.bytes, bytes) === 0) return;
    throw permanent('conflict', `The bucket holds something else under ${name}; it is not overwritten.`);
  }
  await bucket.write({ name, bytes, contentType, cacheControl: 'public, max-age=3600', ifGeneration: '0' });
}
