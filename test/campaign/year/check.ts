/** Compares what is there at the end of the year with what the model says. Every difference is a sentence. */
import { X509Certificate } from 'node:crypto';
import type { Certificate, HeldSetView, UserView } from '../../../demo/company-client.ts';
import type { PublishedCrl } from '../../stories/openssl.ts';
import type { AuditRecord, GmailIdentity, GmailPair } from '../../stories/story.ts';
import type { Expected, Reason } from './model.ts';

const DAY_MS = 86_400_000;
/** From the day on which something is due to its effect: a night's schedule, then the look itself. */
const PROMPT_DAYS = 2;
/** Whose departure the guard holds waits for an admin, who has four days in the calendar. */
const HELD_DAYS = 7;

/** RFC 5280's reasons as OpenSSL prints them. */
const OPENSSL_NAMES: Readonly<Record<Reason, string>> = {
  affiliationChanged: 'Affiliation Changed',
  privilegeWithdrawn: 'Privilege Withdrawn',
  cessationOfOperation: 'Cessation Of Operation',
  superseded: 'Superseded',
  keyCompromise: 'Key Compromise',
};

export interface Found {
  readonly view: UserView | undefined;
  /** By Gmail's account; absent where the account is gone. */
  readonly gmail?: { readonly pairs: readonly GmailPair[]; readonly identities: readonly GmailIdentity[] };
}

export interface Ending {
  readonly startedAt: Date;
  readonly now: Date;
  /** The key service that the policy names. */
  readonly keyService: string;
  /** What the CRLs of all living issuers list together. */
  readonly crl: ReadonlyMap<string, string>;
}

export function checkPerson(
  expected: Expected,
  address: string,
  found: Found,
  ending: Ending,
): readonly string[] {
  const { view } = found;
  if (view === undefined) return [`${address} is unknown to the ledger.`];
  const problems = [
    ...checkStanding(expected, address, found, ending),
    ...checkRevocations(expected, view, ending),
    ...view.certificates.flatMap((certificate) => checkListed(certificate, address, ending)),
  ];
  if (expected.standing !== 'out') return problems;
  const alive = view.certificates.filter(
    (leaf) => isValid(leaf, ending.now) && leaf.revocation === undefined,
  );
  return [...problems, ...alive.map(({ serial }) => `${address} is out and ${serial} is not revoked.`)];
}

function checkStanding(
  { standing }: Expected,
  address: string,
  { view, gmail }: Found,
  ending: Ending,
): readonly string[] {
  const state = view?.state ?? 'unknown';
  const wanted = { served: ['ready'], waiting: ['leaving'], out: ['out'] }[standing];
  const problems = wanted.includes(state)
    ? []
    : [`${address} is ${state} (${view?.reason}), not ${standing}.`];
  if (standing === 'waiting' || gmail === undefined) return problems;
  if (standing === 'out') {
    return gmail.identities.length === 0 ? problems : [...problems, `${address} is out and has an identity.`];
  }
  const [identity, second] = gmail.identities;
  if (identity === undefined || second !== undefined)
    return [...problems, `${address} has ${gmail.identities.length} identities, not one.`];
  if (identity.emailAddress !== address)
    problems.push(`The identity of ${address} is for ${identity.emailAddress}.`);
  return [...problems, ...checkInUse(address, identity, gmail.pairs, view?.certificates ?? [], ending)];
}

function checkInUse(
  address: string,
  identity: GmailIdentity,
  pairs: readonly GmailPair[],
  certificates: readonly Certificate[],
  { now, keyService }: Ending,
): readonly string[] {
  const pair = pairs.find(({ keyPairId }) => keyPairId === identity.primaryKeyPairId);
  if (pair === undefined) return [`The identity of ${address} uses no key pair that Gmail lists.`];
  const leaf = new X509Certificate(pair.pem);
  const serial = leaf.serialNumber.toLowerCase();
  const record = certificates.find((candidate) => candidate.serial === serial);
  const kacls = JSON.stringify(pair.privateKeyMetadata);
  const wrong: readonly [boolean, string][] = [
    [pair.enablementState !== 'enabled', `the pair is ${pair.enablementState}`],
    [leaf.subjectAltName !== `email:${address}`, `it names ${leaf.subjectAltName}`],
    [leaf.validToDate <= now, `it ended on ${leaf.validTo}`],
    [record === undefined, 'the ledger does not have it'],
    [record?.revocation !== undefined, `it was revoked (${record?.revocation?.reason})`],
    [!kacls.includes(`"${keyService}"`), `its key is not with ${keyService}`],
  ];
  return wrong.filter(([is]) => is).map(([, what]) => `${address} uses ${serial}, and ${what}.`);
}

function checkRevocations(
  expected: Expected,
  { user, certificates }: UserView,
  { startedAt }: Ending,
): readonly string[] {
  const happened = certificates.flatMap(({ serial, revocation }) =>
    revocation === undefined
      ? []
      : [{ serial, ...revocation, day: (Date.parse(revocation.revokedAt) - startedAt.getTime()) / DAY_MS }],
  );
  const missing = expected.revocations
    .filter(
      ({ day, reason }) =>
        !happened.some(
          (one) =>
            one.reason === reason &&
            one.day >= day - 0.1 &&
            one.day <= day + (reason === 'affiliationChanged' ? HELD_DAYS : PROMPT_DAYS),
        ),
    )
    .map(({ day, reason }) => `${user}: nothing was revoked as ${reason} about day ${day}.`);
  const surprising = happened
    .filter(({ reason }) => !expected.revocations.some((one) => one.reason === reason))
    .map(
      ({ serial, reason, day }) => `${user}: ${serial} was revoked as ${reason} on day ${day.toFixed(1)}.`,
    );
  return [...missing, ...surprising];
}

/** The public CRL says of an unexpired certificate exactly what the ledger says. */
function checkListed(leaf: Certificate, address: string, { now, crl }: Ending): readonly string[] {
  if (!isValid(leaf, now)) return [];
  const listed = crl.get(leaf.serial);
  const wanted = leaf.revocation === undefined ? undefined : OPENSSL_NAMES[leaf.revocation.reason as Reason];
  if (listed === wanted) return [];
  return [
    `The CRL has ${listed ?? 'nothing'} about ${leaf.serial} of ${address}; the ledger has ${wanted ?? 'nothing'}.`,
  ];
}

const isValid = ({ notAfter }: Certificate, now: Date): boolean => Date.parse(notAfter) > now.getTime();

/** What was seen of one CRL on one day. */
export interface CrlSighting {
  readonly at: Date;
  readonly crl: PublishedCrl;
}

/** Numbers only grow, and an entry goes only once its certificate has ended. `endings`: notAfter by serial. */
export function checkCrlHistory(
  sightings: readonly CrlSighting[],
  endings: ReadonlyMap<string, Date>,
): readonly string[] {
  return sightings.slice(1).flatMap(({ at, crl }, index) => {
    const before = sightings[index]?.crl;
    if (before === undefined) return [];
    const problems: string[] = [];
    if (crl.number < before.number)
      problems.push(`The CRL number shrank from ${before.number} to ${crl.number}.`);
    for (const [serial, reason] of before.revoked) {
      const endsAt = endings.get(serial);
      if (crl.revoked.get(serial) === reason) continue;
      if (crl.revoked.has(serial)) problems.push(`The CRL's reason for ${serial} changed.`);
      else if (endsAt === undefined) problems.push(`The CRL listed ${serial}, which nobody has.`);
      else if (endsAt > at) problems.push(`${serial} left the CRL before its end.`);
    }
    return problems;
  });
}

/** Steps after which there is a certificate: an issuance that was cut off before it is signed later. */
const SIGNING_STEPS = new Set(['issue-leaf', 'sign-leaf']);

/** When each of a user's certificates was signed, by their audit trail, and when it ends, by their ledger. */
export function issuedBy(
  trail: readonly Pick<AuditRecord, 'at' | 'step' | 'outcome' | 'details'>[],
  certificates: readonly Pick<Certificate, 'serial' | 'notAfter'>[],
): Renewals['issued'] {
  const endings = new Map(certificates.map(({ serial, notAfter }) => [serial, new Date(notAfter)]));
  return trail.flatMap(({ at, step, outcome, details }) => {
    const notAfter = endings.get(String(details?.['serialHex']));
    const isSigned = SIGNING_STEPS.has(step) && outcome === 'done';
    return isSigned && notAfter !== undefined ? [{ at: new Date(at), notAfter }] : [];
  });
}

/** What is known of one user's certificates, oldest first. */
export interface Renewals {
  readonly address: string;
  /** When each was issued, and when it ends. */
  readonly issued: readonly { readonly at: Date; readonly notAfter: Date }[];
  /** Warnings that one was about to end. */
  readonly warnings: readonly string[];
}

/** The policy of the year: a certificate is renewed so long before its end, at the latest. */
const RENEWED_BEFORE = { days: 30, ofLife: 1 / 4 } as const;

/** Whoever was there all the time had the next certificate in time before the end of each, and nobody had to be warned. */
export function checkRenewals({ address, issued, warnings }: Renewals, now: Date): readonly string[] {
  const problems = warnings.map((warning) => `${address} was warned of: ${warning}`);
  for (const [index, { at, notAfter }] of issued.entries()) {
    const lifeMs = notAfter.getTime() - at.getTime();
    const beforeMs = Math.min(RENEWED_BEFORE.days * DAY_MS, RENEWED_BEFORE.ofLife * lifeMs);
    const latest = new Date(notAfter.getTime() - beforeMs + PROMPT_DAYS * DAY_MS);
    const next = issued[index + 1]?.at ?? now;
    if (next > latest)
      problems.push(
        `${address} had no new certificate by ${latest.toISOString()}, and the old one ends on ${notAfter.toISOString()}.`,
      );
  }
  return problems;
}

/** All that the guard held has been decided on. */
export const checkNothingHeld = (sets: readonly Pick<HeldSetView, 'reason'>[]): readonly string[] =>
  sets.map(({ reason }) => `Departures are still held: ${reason}`);

/**
 * Whoever is served reads what was sent to them at the beginning, however often their key changed. `open` gives the text that the
 * reader sees, and throws where there is none.
 */
export async function checkOldMail<Mail extends { readonly to: string; readonly text: string }>(
  expected: readonly Expected[],
  mails: readonly Mail[],
  open: (mail: Mail) => Promise<string>,
): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const mail of mails) {
    const reader = expected.find(({ person }) => person === mail.to);
    if (reader?.standing !== 'served') continue;
    try {
      if ((await open(mail)).trim() !== mail.text)
        problems.push(`${reader.address} reads another text than was sent.`);
    } catch (error) {
      problems.push(
        `${reader.address} cannot open mail of day 3: ${error instanceof Error ? error.message : error}`,
      );
    }
  }
  return problems;
}

/** The CA is well. `ended`: how `ca health` ended, which is with 1 for an error. */
export const checkHealth = (ended: {
  readonly exit: number | string;
  readonly stdout: string;
}): readonly string[] => (ended.exit === 0 ? [] : [`The CA is not well: ${ended.stdout.slice(0, 2_000)}`]);

/** The audit trail verifies, under a checkpoint for each day. `verified`: how `audit verify --json` ended. */
export function checkAudit(
  verified: { readonly exit: number | string; readonly stdout: string },
  checkpoints: number,
  days: number,
): readonly string[] {
  const problems =
    verified.exit === 0 ? [] : [`The audit trail does not verify: ${verified.stdout.slice(0, 2_000)}`];
  return checkpoints >= days
    ? problems
    : [...problems, `${checkpoints} checkpoints were signed in ${days} days.`];
}

/** What became of an issuer whose successor took over. */
export interface Retiring {
  readonly sightings: readonly CrlSighting[];
  /** notAfter of each certificate under it. */
  readonly endings: readonly Date[];
  /** From the audit trail; undefined while it is not retired. */
  readonly retiredAt: Date | undefined;
  readonly now: Date;
}

/** It signs its CRL until its last certificate has ended, and is retired soon after that and not before. */
export function checkRetiring({ sightings, endings, retiredAt, now }: Retiring): readonly string[] {
  const lastEnd = new Date(Math.max(...endings.map((at) => at.getTime())));
  const problems = sightings
    .filter(({ at, crl }) => at <= (retiredAt ?? now) && crl.nextUpdate <= at)
    .map(({ at, crl }) => `On ${at.toISOString()} CRL ${crl.number} of the issuer that retires had run out.`);
  if (retiredAt !== undefined && retiredAt <= lastEnd)
    problems.push(
      `The issuer was retired on ${retiredAt.toISOString()}, before its last certificate ended (${lastEnd.toISOString()}).`,
    );
  if (retiredAt === undefined && now.getTime() - lastEnd.getTime() > PROMPT_DAYS * DAY_MS)
    problems.push(`The issuer is not retired, and its last certificate ended on ${lastEnd.toISOString()}.`);
  return problems;
}
