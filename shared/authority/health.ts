/**
 * What is wrong with the CA, or will be unless somebody acts: each finding has an id that stays, a sentence, and what to do.
 * It looks at what the ledger says, at the public bucket, and, where the caller may, at the keys themselves. It changes
 * nothing.
 */
import { custodyOf, secretOf } from '../domain/key-version.ts';
import type { IssuerRecord } from '../domain/records.ts';
import { isSealwrightError } from '../errors.ts';
import { readIssuer } from '../pki/certificate.ts';
import { readCrl, verifyCrl } from '../pki/crl-reader.ts';
import { sameBytes } from '../pki/der-reader.ts';
import { readPublicKey } from '../pki/public-key.ts';
import type { Secrets, SecretVersion } from '../ports/secrets.ts';
import type { SigningKeys } from '../ports/signing-keys.ts';
import type { AuthorityDeps } from './deps.ts';
import { clockIsBehind } from './issuing-key-checks.ts';
import { objectName } from './publish-crl.ts';
import { ROOT_CRL_ALARM_MS, rootOf } from './root-crl.ts';

export type HealthSeverity = 'error' | 'warning' | 'info';

export type HealthId =
  | 'issuer-missing'
  | 'issuer-ended'
  | 'issuer-ends-soon'
  | 'issuer-ends'
  | 'issuer-revoked'
  | 'issuer-prepared'
  | 'issuer-retiring'
  | 'issuer-key-small'
  | 'chain-incomplete'
  | 'root-ends'
  | 'root-crl-missing'
  | 'root-crl-ended'
  | 'root-crl-ends-soon'
  | 'crl-missing'
  | 'crl-ended'
  | 'crl-late'
  | 'address-failing'
  | 'key-unusable'
  | 'key-of-another-issuer'
  | 'key-unnamed'
  | 'request-open'
  | 'clock-behind';

export interface HealthFinding {
  readonly id: HealthId;
  readonly severity: HealthSeverity;
  /** What is the matter, with names and dates. */
  readonly sentence: string;
  /** What to do about it. */
  readonly fix: string;
  /** The issuer it is about, where it is about one. */
  readonly issuerId?: string;
}

export interface HealthDeps extends Pick<AuthorityDeps, 'clock' | 'ledger' | 'bucket'> {
  /** Given where the caller may read public keys of Cloud KMS. */
  readonly signingKeys?: Pick<SigningKeys, 'publicKey'>;
  /** Whether a secret version is enabled, without reading it; undefined where the caller may not know. */
  readonly secretState?: (version: string) => Promise<string | undefined>;
  /** Which versions a secret has, without reading them. Given where the caller may list them. */
  readonly secrets?: Pick<Secrets, 'listVersions'>;
}

const DAY_MS = 86_400_000;
/** Below this a year's leaf no longer fits below the issuer. */
const ISSUER_WARNING_MS = 400 * DAY_MS;
const ISSUER_ALARM_MS = 183 * DAY_MS;
/** The longest leaf there is must fit. */
const ROOT_WARNING_MS = 3 * 365 * DAY_MS;

/** Errors first. Throws only where ledger or bucket cannot be read at all. */
export async function authorityHealth(deps: HealthDeps): Promise<readonly HealthFinding[]> {
  const issuers = await deps.ledger.issuers();
  const living = issuers.filter(({ state }) => state !== 'retired');
  const findings: HealthFinding[] = [
    ...(await clockFindings(deps)),
    ...(issuers.some(({ state }) => state === 'active') ? [] : [noIssuer(living.length)]),
    ...(await requestFindings(deps)),
  ];
  for (const issuer of living) {
    findings.push(
      ...(await lifeFindings(deps, issuer)),
      ...(await crlFindings(deps, issuer)),
      ...(await keyFindings(deps, issuer)),
      ...(await addressFindings(deps, issuer)),
    );
  }
  findings.push(...(await unnamedKeys(deps, issuers)), ...(await rootFindings(deps, living)));
  const rank: Readonly<Record<HealthSeverity, number>> = { error: 0, warning: 1, info: 2 };
  return findings.toSorted((left, right) => rank[left.severity] - rank[right.severity]);
}

const noIssuer = (living: number): HealthFinding => ({
  id: 'issuer-missing',
  severity: 'error',
  sentence: `There is no active issuer${living > 0 ? `, though ${living} ${living === 1 ? 'is' : 'are'} known` : ''}: nobody gets a certificate.`,
  fix: 'Make one with "sealwright ca init", or activate a prepared one with "sealwright ca roll --activate ISSUER".',
});

async function clockFindings({ clock, ledger }: HealthDeps): Promise<HealthFinding[]> {
  const latest = await clockIsBehind({ clock, ledger });
  if (latest === undefined) return [];
  return [
    {
      id: 'clock-behind',
      severity: 'error',
      sentence: `This clock says ${clock.now().toISOString()}, and the ledger holds something of ${latest.toISOString()}.`,
      fix: 'Set the clock of this machine right; what is signed now would be refused or dated wrongly.',
    },
  ];
}

async function requestFindings({ ledger }: HealthDeps): Promise<HealthFinding[]> {
  return (await ledger.openIssuerRequests()).map(({ spkiSha256Hex, keyVersion, requestedAt }) => ({
    id: 'request-open',
    severity: 'info',
    sentence: `A certificate was asked for on ${day(requestedAt)} over the key ${keyVersion} (SPKI SHA-256 ${spkiSha256Hex}) and none was installed.`,
    fix: 'Install it with "sealwright ca install FILE" when the other CA has signed it.',
  }));
}

async function lifeFindings(deps: HealthDeps, issuer: IssuerRecord): Promise<HealthFinding[]> {
  const { issuerId, state } = issuer;
  const about = { issuerId };
  const findings: HealthFinding[] = [];
  const { certificate } = readIssuer(issuer.certificateDer);
  const left = certificate.notAfter.at.getTime() - deps.clock.now().getTime();
  const ends = `Issuer ${issuerId} (${state}) ${left < 0 ? 'ended' : 'ends'} on ${day(certificate.notAfter.at)}`;
  const roll = 'Make the next issuing CA now: "sealwright ca roll".';
  if (left < 0)
    findings.push({ ...about, id: 'issuer-ended', severity: 'error', sentence: `${ends}.`, fix: roll });
  else if (state === 'active' && left < ISSUER_ALARM_MS) {
    const sentence = `${ends}, in less than half a year: every certificate ends with it.`;
    findings.push({ ...about, id: 'issuer-ends-soon', severity: 'error', sentence, fix: roll });
  } else if (state === 'active' && left < ISSUER_WARNING_MS) {
    const sentence = `${ends}: a certificate for a year no longer fits below it.`;
    findings.push({ ...about, id: 'issuer-ends', severity: 'warning', sentence, fix: roll });
  }
  const key = readPublicKey(certificate.spkiDer);
  if (key.kind === 'rsa' && key.modulus < 2n ** 4095n) {
    findings.push({
      ...about,
      id: 'issuer-key-small',
      severity: 'warning',
      sentence: `The key of issuer ${issuerId} is RSA with less than 4096 bits, which the S/MIME Baseline Requirements want of CA keys made since September 2026.`,
      fix: 'Nothing at once; give the next issuing CA a longer key.',
    });
  }
  if (!sameBytes(issuer.chainDer.at(-1) ?? new Uint8Array(), selfIssued(issuer) ?? new Uint8Array(1))) {
    findings.push({
      ...about,
      id: 'chain-incomplete',
      severity: 'error',
      sentence: `The chain above issuer ${issuerId} does not end at a root.`,
      fix: 'Import the issuer again with its whole chain.',
    });
  }
  if (state === 'prepared') {
    findings.push({
      ...about,
      id: 'issuer-prepared',
      severity: 'info',
      sentence: `Issuer ${issuerId} is prepared and issues nothing yet.`,
      fix: `Activate it when its CRL is public: "sealwright ca roll --activate ${issuerId}".`,
    });
  }
  if (state === 'retiring') {
    const { live, lastNotAfter } = await deps.ledger.issuerHoldings(issuerId);
    findings.push({
      ...about,
      id: 'issuer-retiring',
      severity: 'info',
      sentence: `Issuer ${issuerId} is retiring: ${live} of its certificates have not ended${lastNotAfter === undefined ? '' : `, the last one ends on ${day(lastNotAfter)}`}.`,
      fix: 'Nothing: it signs its CRLs until then and is retired by itself. A re-key moves users to the active issuer sooner.',
    });
  }
  return findings;
}

function selfIssued(issuer: IssuerRecord): Uint8Array | undefined {
  const root = issuer.chainDer.at(-1);
  if (root === undefined) return undefined;
  const { certificate } = readIssuer(root);
  return sameBytes(certificate.subjectDer, certificate.issuerDer) ? root : undefined;
}

async function crlFindings({ clock, ledger }: HealthDeps, issuer: IssuerRecord): Promise<HealthFinding[]> {
  const { issuerId } = issuer;
  const fix = 'Look at the log of publish-crl, and of sign: the message says what stands in the way.';
  const crl = await ledger.latestPublishedCrl(issuerId);
  const now = clock.now().getTime();
  if (crl === undefined) {
    const severity = issuer.state === 'prepared' ? 'warning' : 'error';
    return [
      { id: 'crl-missing', severity, issuerId, sentence: `Issuer ${issuerId} has published no CRL.`, fix },
    ];
  }
  const half = (crl.thisUpdate.getTime() + crl.nextUpdate.getTime()) / 2;
  if (now < half) return [];
  const ended = now >= crl.nextUpdate.getTime();
  return [
    {
      id: ended ? 'crl-ended' : 'crl-late',
      severity: 'error',
      issuerId,
      sentence: ended
        ? `CRL ${crl.crlNumber} of issuer ${issuerId} was good until ${instant(crl.nextUpdate)}: signatures no longer verify.`
        : `CRL ${crl.crlNumber} of issuer ${issuerId} is of ${instant(crl.thisUpdate)} and has used more than half of its time; a new one is due every six hours.`,
      fix,
    },
  ];
}

async function addressFindings({ ledger }: HealthDeps, issuer: IssuerRecord): Promise<HealthFinding[]> {
  const { issuerId } = issuer;
  const failing = (await ledger.issuerAddresses(issuerId)).filter(
    ({ failedAt, seenAt }) => failedAt !== undefined && (seenAt === undefined || seenAt < failedAt),
  );
  return failing.map(({ url, failedAt, failure }) => ({
    id: 'address-failing',
    severity: issuer.state === 'prepared' ? 'warning' : 'error',
    issuerId,
    sentence: `${url}, which certificates of issuer ${issuerId} or of its chain name, was not right on ${instant(failedAt ?? new Date(0))}: ${failure ?? 'no reason was kept'}.`,
    fix: 'Look at DNS, the load balancer and the bucket, or at the other CA’s server where the name is theirs: it must answer anybody over plain http, without a redirect.',
  }));
}

async function keyFindings(deps: HealthDeps, issuer: IssuerRecord): Promise<HealthFinding[]> {
  const { issuerId, keyVersion } = issuer;
  const unusable = (why: string): HealthFinding => ({
    id: 'key-unusable',
    severity: 'error',
    issuerId,
    sentence: `The key of issuer ${issuerId} (${keyVersion}) cannot be used: ${why}`,
    fix: 'Enable or restore the version while that is still possible; otherwise make the next issuing CA and treat this one as lost (docs/runbooks/ca.md).',
  });
  try {
    if (custodyOf(keyVersion) === 'secret-manager') {
      const state = await deps.secretState?.(keyVersion);
      return state === undefined || state === 'ENABLED' ? [] : [unusable(`the secret version is ${state}.`)];
    }
    const key = await deps.signingKeys?.publicKey(keyVersion);
    if (key === undefined || sameBytes(key.spkiDer, readIssuer(issuer.certificateDer).certificate.spkiDer))
      return [];
    return [
      {
        id: 'key-of-another-issuer',
        severity: 'error',
        issuerId,
        sentence: `The key ${keyVersion} is not the one in the certificate of issuer ${issuerId}.`,
        fix: 'Find out who changed the ledger or the key; nothing can be signed.',
      },
    ];
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    return [unusable(error.message)];
  }
}

/**
 * Enabled versions of the issuing keys' secrets that no issuer, not even a retired one, and no open request names: a command died
 * between storing a key and recording it.
 */
async function unnamedKeys(
  { ledger, secrets }: HealthDeps,
  issuers: readonly IssuerRecord[],
): Promise<HealthFinding[]> {
  if (secrets === undefined) return [];
  const requests = await ledger.openIssuerRequests();
  const named = new Set([...issuers, ...requests].map(({ keyVersion }) => keyVersion));
  const holders = new Set([...named].flatMap((keyVersion) => secretOf(keyVersion) ?? []));
  const findings: HealthFinding[] = [];
  for (const secret of holders) {
    for (const { name, state } of await listedVersions(secrets, secret)) {
      if (state !== 'ENABLED' || named.has(name)) continue;
      findings.push({
        id: 'key-unnamed',
        severity: 'warning',
        sentence: `The secret version ${name} holds a key that no issuer and no open request names.`,
        fix: 'Unless a command about the CA is just running, one died before it had recorded the key: nothing is signed with it; destroy the version.',
      });
    }
  }
  return findings;
}

/** None where the caller may not list them. */
async function listedVersions(
  secrets: Pick<Secrets, 'listVersions'>,
  secret: string,
): Promise<readonly SecretVersion[]> {
  try {
    return await secrets.listVersions(secret);
  } catch (error) {
    if (isSealwrightError(error) && error.details?.['httpStatus'] === 403) return [];
    throw error;
  }
}

/** Each root once, however many issuers stand below it. */
async function rootFindings(deps: HealthDeps, living: readonly IssuerRecord[]): Promise<HealthFinding[]> {
  const findings: HealthFinding[] = [];
  const seen = new Set<string>();
  for (const issuer of living) {
    const root = rootOf(issuer);
    if (root?.crlUrl === undefined || seen.has(root.crlUrl)) continue;
    seen.add(root.crlUrl);
    findings.push(...(await rootCrlFindings(deps, issuer, { ...root, crlUrl: root.crlUrl }, living)));
    const { notAfter } = readIssuer(root.rootDer).certificate;
    if (notAfter.at.getTime() - deps.clock.now().getTime() < ROOT_WARNING_MS) {
      findings.push({
        id: 'root-ends',
        severity: 'warning',
        issuerId: issuer.issuerId,
        sentence: `The root above issuer ${issuer.issuerId} ends on ${day(notAfter.at)}.`,
        fix: 'Plan a new root: everybody who trusts this one has to be given the next.',
      });
    }
  }
  return findings;
}

async function rootCrlFindings(
  deps: HealthDeps,
  issuer: IssuerRecord,
  root: { readonly rootDer: Uint8Array; readonly crlUrl: string },
  living: readonly IssuerRecord[],
): Promise<HealthFinding[]> {
  const now = deps.clock.now().getTime();
  const { issuerId } = issuer;
  const fix =
    'Make a new one where the root key is ("sealwright ca root-crl --offline DIR") and publish it ("sealwright ca root-crl --publish FILE").';
  const finding = (id: HealthId, sentence: string): HealthFinding => ({
    id,
    severity: 'error',
    issuerId,
    sentence,
    fix,
  });
  // A root of somebody else's publishes elsewhere; whether that is right is an `address-failing`.
  if (new URL(root.crlUrl).host !== new URL(issuer.crlUrl).host) return [];
  const published = await deps.bucket.read(objectName(root.crlUrl));
  if (published === undefined || !verifyCrl(published.bytes, root.rootDer)) {
    const what = published === undefined ? 'nothing' : 'something that is no CRL of it';
    return [
      finding('root-crl-missing', `Under ${root.crlUrl}, where the root's CRL should be, there is ${what}.`),
    ];
  }
  const crl = readCrl(published.bytes);
  const nextUpdate = crl.nextUpdate ?? crl.thisUpdate;
  const findings: HealthFinding[] = [];
  if (nextUpdate.getTime() <= now) {
    findings.push(
      finding(
        'root-crl-ended',
        `The root's CRL was good until ${instant(nextUpdate)}: Gmail takes no new certificate.`,
      ),
    );
  } else if (nextUpdate.getTime() - now < ROOT_CRL_ALARM_MS) {
    const days = Math.floor((nextUpdate.getTime() - now) / DAY_MS);
    findings.push(
      finding(
        'root-crl-ends-soon',
        `The root's CRL is good for ${days} more days, until ${instant(nextUpdate)}; after that Gmail takes no new certificate.`,
      ),
    );
  }
  for (const each of living) {
    const { certificate } = readIssuer(each.certificateDer);
    if (!sameBytes(certificate.issuerDer, crl.issuerDer) || !crl.entries.has(certificate.serialHex)) continue;
    findings.push({
      id: 'issuer-revoked',
      severity: 'error',
      issuerId: each.issuerId,
      sentence: `Issuer ${each.issuerId} (${each.state}) is revoked by its root's CRL: nobody trusts what it signed.`,
      fix: 'Roll to a new issuing CA and re-key everybody (docs/runbooks/ca.md, compromise of the issuing key).',
    });
  }
  return findings;
}

const day = (at: Date): string => at.toISOString().slice(0, 10);
const instant = (at: Date): string => `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
