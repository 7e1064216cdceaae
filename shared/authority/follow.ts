/**
 * The ways to an issuer beside the first one: a key and certificate that exist already (`importIssuer`), a key of ours and
 * a certificate that another CA signs (`requestIssuer`, then `installIssuer`), and the next one under our own root
 * (`rollIssuer`). Each ends in a prepared issuer. Everything is checked before anything is written, and each may be
 * repeated after a failure. A key that was imported is not stored twice then; one that was made here, and whose command died
 * between storing it and recording it, stays behind as a version that nothing names, and another is made.
 */
import { secretOf } from '../domain/key-version.ts';
import type { IssuerRecord } from '../domain/records.ts';
import { invalidInput, permanent } from '../errors.ts';
import { makeIssuing } from '../pki/authority.ts';
import { readIssuer, sha256Hex } from '../pki/certificate.ts';
import { makeIssuingCsr } from '../pki/csr.ts';
import { sameBytes } from '../pki/der-reader.ts';
import { type CaSubject, readName } from '../pki/name.ts';
import { ACCESS_METHOD_OIDS, ATTRIBUTE_OIDS, RESERVED_POLICY_ARC } from '../pki/oids.ts';
import { publicKeyOf } from '../pki/pkcs12.ts';
import { drawSerial } from '../pki/serial.ts';
import { signable } from '../pki/signable.ts';
import type { Signer } from '../pki/signer.ts';
import type { AuthorityDeps } from './deps.ts';
import {
  type IssuingKey,
  type IssuingKeyPlace,
  issuingKey,
  storedKey,
  versionToCome,
} from './issuing-key.ts';
import { assertClockIsRight, assertIssuingKeyIsNew } from './issuing-key-checks.ts';
import {
  assertCanIssue,
  checkedChain,
  type IssuerChain,
  issuerIdOf,
  newIssuer,
  prepareIssuer,
  recordPrepared,
} from './new-issuer.ts';
import { rootOf } from './root-crl.ts';

/** `pkiUrl`: public address of the bucket, such as `http://pki.acme.example/`. `keySecret`: `projects/P/secrets/S`. */
export async function importIssuer(
  deps: AuthorityDeps,
  request: {
    readonly certificatesDer: readonly Uint8Array[];
    readonly pkcs8Der: Uint8Array;
    readonly keySecret: string;
    readonly pkiUrl: string;
  },
): Promise<IssuerRecord> {
  await assertClockIsRight(deps);
  const spkiDer = publicKeyOf(request.pkcs8Der);
  const chain = checkedChain(request.certificatesDer, spkiDer, deps.clock.now());
  await assertIssuingKeyIsNew(deps, spkiDer, issuerIdOf(chain.certificateDer));
  const key = storedKey(deps, request.keySecret, request.pkcs8Der);
  try {
    // The key really signs: a damaged one must not be stored. The text is nothing that a CA would sign.
    await key.signer.sign(signable(Buffer.from('sealwright ca import: does this key sign?')));
    await assertCanIssue(deps, newIssuer(chain, request.keySecret, request.pkiUrl));
    return await recordedThenStored(deps, chain, key, request);
  } finally {
    key.wipe();
  }
}

/**
 * Whoever may put a key into a secret may not read it back, so a copy cannot be told from another key there. The ledger says
 * first which version this key will be; who repeats the command finds that version there and stores no second one.
 */
async function recordedThenStored(
  deps: AuthorityDeps,
  chain: IssuerChain,
  key: IssuingKey,
  { keySecret, pkiUrl }: { readonly keySecret: string; readonly pkiUrl: string },
): Promise<IssuerRecord> {
  const known = (await deps.ledger.readIssuer(issuerIdOf(chain.certificateDer)))?.keyVersion;
  const secret = known === undefined ? keySecret : secretOf(known);
  const versions = secret === undefined ? [] : await deps.secrets.listVersions(secret);
  const foreseen = newIssuer(chain, known ?? versionToCome(keySecret, versions), pkiUrl);
  await recordPrepared(deps, foreseen);
  const isStored =
    secret === undefined ||
    versions.some(({ name, state }) => name === foreseen.keyVersion && state !== 'DESTROYED');
  const keyVersion = isStored ? foreseen.keyVersion : await key.store();
  // Somebody else put a version in at the same moment.
  if (keyVersion !== foreseen.keyVersion) await deps.ledger.recordIssuer({ ...foreseen, keyVersion });
  await deps.bus.requestCrl(foreseen.issuerId);
  return { ...foreseen, keyVersion };
}

/** A key that was made here and that nobody else has: stored before a row names it, since without it the row would be of nothing. */
async function storedThenRecorded(
  deps: AuthorityDeps,
  chain: IssuerChain,
  key: IssuingKey,
  pkiUrl: string,
): Promise<IssuerRecord> {
  const issuer = newIssuer(chain, await key.store(), pkiUrl);
  await prepareIssuer(deps, issuer);
  return issuer;
}

export interface IssuerAsked {
  readonly csrDer: Uint8Array;
  readonly keyVersion: string;
  readonly spkiSha256Hex: string;
}

/** Makes a key (or takes one of Cloud KMS) and the request that another CA signs. */
export async function requestIssuer(
  deps: AuthorityDeps,
  request: { readonly subject: CaSubject; readonly key: IssuingKeyPlace },
): Promise<IssuerAsked> {
  await assertClockIsRight(deps);
  const key = await issuingKey(deps, request.key);
  try {
    await assertIssuingKeyIsNew(deps, key.signer.spkiDer);
    const csrDer = await makeIssuingCsr(request.subject, key.signer);
    const keyVersion = await key.store();
    const spkiSha256Hex = sha256Hex(key.signer.spkiDer);
    await deps.ledger.recordIssuerRequest({ spkiSha256Hex, keyVersion, csrDer });
    return { csrDer, keyVersion, spkiSha256Hex };
  } finally {
    key.wipe();
  }
}

/** Takes the certificate that another CA signed over a key that was made with `requestIssuer`. */
export async function installIssuer(
  deps: AuthorityDeps,
  request: { readonly certificatesDer: readonly Uint8Array[]; readonly pkiUrl: string },
): Promise<IssuerRecord> {
  await assertClockIsRight(deps);
  for (const der of request.certificatesDer) {
    const { spkiDer } = readIssuer(der).certificate;
    const asked = await deps.ledger.readIssuerRequest(sha256Hex(spkiDer));
    if (asked === undefined) continue;
    const chain = checkedChain(request.certificatesDer, spkiDer, deps.clock.now());
    const issuer = newIssuer(chain, asked.keyVersion, request.pkiUrl);
    await assertIssuingKeyIsNew(deps, spkiDer, issuer.issuerId);
    await assertCanIssue(deps, issuer);
    await prepareIssuer(deps, issuer);
    return issuer;
  }
  const open = (await deps.ledger.openIssuerRequests()).map(({ spkiSha256Hex }) => spkiSha256Hex);
  throw invalidInput(
    'settings-invalid',
    `None of the certificates is over a key that was made with "sealwright ca csr"${open.length === 0 ? '' : ` (waiting: SPKI SHA-256 ${open.join(', ')})`}: give the certificate that was signed for that request.`,
    { details: { rule: 'chain-key-mismatch' } },
  );
}

export interface RollRequest {
  readonly root: { readonly certificateDer: Uint8Array; readonly signer: Signer };
  readonly key: IssuingKeyPlace;
  /** Default: the address that the issuer before has. */
  readonly pkiUrl?: string;
}

/** The next issuing CA under our own root, for the same company and with the same policies as the one before. */
export async function rollIssuer(deps: AuthorityDeps, request: RollRequest): Promise<IssuerRecord> {
  const before = await deps.ledger.activeIssuer();
  if (before === undefined)
    throw permanent(
      'issuer-missing',
      'There is no active issuer to follow: make a CA with "sealwright ca init".',
    );
  await assertClockIsRight(deps);
  const { rootCrlUrl, rootUrl, policyOids } = inherited(before, request.root.certificateDer);
  const now = deps.clock.now();
  const key = await issuingKey(deps, request.key);
  try {
    await assertIssuingKeyIsNew(deps, key.signer.spkiDer);
    const certificateDer = await makeIssuing({
      root: request.root,
      subject: nextSubject(before, await deps.ledger.issuers()),
      spkiDer: key.signer.spkiDer,
      serialHex: drawSerial(deps.random),
      now,
      rootCrlUrl,
      rootUrl,
      policyOids,
    });
    const chain = checkedChain([certificateDer, request.root.certificateDer], key.signer.spkiDer, now);
    const pkiUrl = request.pkiUrl ?? new URL('/', before.crlUrl).href;
    await assertCanIssue(deps, newIssuer(chain, 'not stored yet', pkiUrl));
    return await storedThenRecorded(deps, chain, key, pkiUrl);
  } finally {
    key.wipe();
  }
}

/** What the next issuer has from the one before. Throws `conflict` where the root is another. */
function inherited(before: IssuerRecord, rootDer: Uint8Array) {
  const root = rootOf(before);
  if (root === undefined || !sameBytes(root.rootDer, rootDer)) {
    throw permanent(
      'conflict',
      `The root given is not the root of the active issuer ${before.issuerId}: for a CA of somebody else use "ca csr" and "ca install", or "ca import".`,
    );
  }
  const { extensions } = readIssuer(before.certificateDer);
  const rootUrl = extensions.authorityInfoAccess?.find(
    ({ method }) => method === ACCESS_METHOD_OIDS.caIssuers,
  )?.location.value;
  const oids = (extensions.certificatePolicies ?? []).map(({ oid }) => oid);
  const own = oids.find((oid) => !oid.startsWith(RESERVED_POLICY_ARC));
  const reserved = oids.find((oid) => oid.startsWith(RESERVED_POLICY_ARC));
  if (root.crlUrl === undefined || rootUrl === undefined || own === undefined) {
    throw permanent(
      'conflict',
      `The certificate of issuer ${before.issuerId} lacks the address of its root, of the root's CRL, or a policy: the next one cannot take them over.`,
    );
  }
  return {
    rootCrlUrl: root.crlUrl,
    rootUrl,
    policyOids: { own, ...(reserved === undefined ? {} : { reserved }) },
  };
}

/** "Acme S/MIME Issuing CA 1" is followed by the first number that no issuer has. */
function nextSubject(before: IssuerRecord, all: readonly IssuerRecord[]): CaSubject {
  const subject = subjectOf(before);
  const stem = subject.commonName.replace(/\s*\d+$/, '');
  const numbers = all
    .map((issuer) => subjectOf(issuer).commonName)
    .filter((name) => name.startsWith(stem))
    .map((name) => Number(/(\d+)$/.exec(name)?.[1] ?? '1'));
  return { ...subject, commonName: `${stem} ${Math.max(1, ...numbers) + 1}` };
}

function subjectOf({ issuerId, certificateDer }: IssuerRecord): CaSubject {
  const attributes = readName(readIssuer(certificateDer).certificate.subjectDer);
  const value = (type: string) => attributes.find(({ oid }) => oid === type)?.value;
  const country = value(ATTRIBUTE_OIDS.countryName);
  const organization = value(ATTRIBUTE_OIDS.organizationName);
  if (country === undefined || organization === undefined)
    throw permanent('conflict', `The subject of issuer ${issuerId} has no country or no organization.`);
  return { country, organization, commonName: value(ATTRIBUTE_OIDS.commonName) ?? organization };
}
