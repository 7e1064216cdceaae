import { z } from 'zod';
import type { ActivePolicySource } from '../../shared/activation/active-policy.ts';
import { readPlace, readPlaces } from '../../shared/activation/places.ts';
import type { DirectoryUser } from '../../shared/domain/directory-user.ts';
import { isWithin } from '../../shared/domain/org-unit-path.ts';
import type { Place } from '../../shared/domain/place.ts';
import type { Policy, PolicyRule } from '../../shared/domain/policy.ts';
import {
  isRevocationReason,
  REVOCATION_REASONS,
  type RevocationReason,
} from '../../shared/domain/revocation-reason.ts';
import { invalidInput, isSealwrightError, permanent } from '../../shared/errors.ts';
import { ruleCovering } from '../../shared/plan/scope.ts';
import type { Bus } from '../../shared/ports/bus.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Directory } from '../../shared/ports/directory.ts';
import type { Ledger, LiveHolder } from '../../shared/ports/ledger.ts';
import type { Log } from '../../shared/ports/log.ts';
import type { HttpAnswer } from '../wire/http.ts';
import { bodyOf } from './body.ts';
import { requireConfirmed } from './confirmed.ts';
import { refuseUnderObserve } from './observed.ts';
import { howToName, somebody } from './somebody.ts';
import { refuseUnknownUnit } from './unknown-unit.ts';

export interface RekeyDeps {
  readonly directory: Pick<
    Directory,
    'presence' | 'resolve' | 'usersUnder' | 'orgUnits' | 'isMember' | 'group' | 'groupMembers'
  >;
  readonly clock: Clock;
  readonly ledger: Pick<
    Ledger,
    | 'recordRekeyJob'
    | 'audit'
    | 'departuresSince'
    | 'usersTakenFromByJobs'
    | 'readIssuer'
    | 'holdersUnder'
    | 'liveHolders'
    | 'userIdsOfAddress'
  >;
  readonly bus: Pick<Bus, 'publishHints'>;
  readonly policies: ActivePolicySource;
  /** Users are due at this pace, and the first minute's are hinted at once. */
  readonly hintsPerMinute: number;
  readonly log: Log;
}

/** A job larger than this is asked for unit by unit, so that one request stays within its time. */
const MAX_USERS = 50_000;
/** Each name is looked up in the directory; more than this take longer than a request may. */
const MAX_NAMES = 200;

const request = z.strictObject({
  users: z
    .array(z.string().min(1))
    .min(1)
    .max(MAX_NAMES, `at most ${MAX_NAMES} users can be named; ask for their org unit instead`)
    .optional(),
  orgUnit: z.string().startsWith('/').optional(),
  group: z.string().optional(),
  all: z.literal(true).optional(),
  /** Everybody whose certificate in use is of this issuer: the campaign before it is retired. */
  issuer: z.string().optional(),
  reason: z.custom<RevocationReason>(isRevocationReason, {
    error: `must be one of ${Object.keys(REVOCATION_REASONS).join(', ')}`,
  }),
  /** When the key is thought to have been compromised, RFC 5280 §5.3.2. */
  invalidityDate: z.iso
    .datetime({ offset: true })
    .refine(hasUsualYear, 'must lie in the years 1950 to 9999')
    .optional(),
  /** How many users the admin means to re-key: must be stated where more lose something at once than an hour allows. */
  confirmUsers: z.number().int().min(1).optional(),
  /** Disable the pairs that are replaced: what was encrypted to them becomes unreadable in Gmail. */
  disableKeypairs: z.boolean().default(false),
  dryRun: z.boolean().default(false),
});

/** Neither a year 0 nor a year 10000, which an offset can make of 9999, can be written to the ledger or a CRL. */
function hasUsualYear(instant: string): boolean {
  const year = new Date(instant).getUTCFullYear();
  return year >= 1950 && year <= 9999;
}

interface Target {
  readonly userId: string;
  readonly primaryEmail: string;
  /** No rule gives them a new key: they are covered by none, archived, deleted or in no list. */
  readonly revokedOnly?: true;
}

/** Who is meant, and how many more are under a rule that only observes and left out. */
interface Chosen {
  readonly targets: readonly Target[];
  readonly observed: number;
}

/**
 * 202 `{"job","observed","revokedOnly"}`; with `dryRun`, 200 and whom it would touch, and nothing is written. A compromised key is
 * reported also of whoever leaves or has left (`revokedOnly`): as long as the certificate is good, somebody can sign with it.
 */
export async function requestRekey(deps: RekeyDeps, admin: string, body: unknown): Promise<HttpAnswer> {
  const wanted = bodyOf(request, body);
  if (wanted.invalidityDate !== undefined && wanted.reason !== 'keyCompromise') {
    throw invalidInput(
      'malformed-request',
      '"invalidityDate" says when a key was compromised; the reason must be keyCompromise.',
      {
        details: { field: 'invalidityDate' },
      },
    );
  }
  const selectors = [wanted.users, wanted.orgUnit, wanted.group, wanted.issuer, wanted.all].filter(
    (value) => value !== undefined,
  );
  if (selectors.length !== 1) {
    throw invalidInput(
      'malformed-request',
      'Say exactly one of "users", "orgUnit", "group", "issuer" and "all".',
      {
        details: { field: 'users' },
      },
    );
  }
  if (wanted.orgUnit !== undefined) await refuseUnknownUnit(deps.directory, wanted.orgUnit);
  const { targets, observed } =
    wanted.users === undefined
      ? await usersUnder(deps, wanted.orgUnit ?? '/', {
          among: await among(deps, wanted),
          reason: wanted.reason,
        })
      : { targets: await namedUsers(deps, wanted.users, wanted.reason), observed: 0 };
  if (targets.length === 0) throw permanent('not-found', 'Nobody covered by the policy fits this request.');
  const revokedOnly = targets.filter((target) => target.revokedOnly).length;
  if (wanted.dryRun) {
    return {
      status: 200,
      body: {
        dryRun: true,
        total: targets.length,
        observed,
        revokedOnly,
        users: targets.map((target) => ({
          user: target.primaryEmail,
          step: target.revokedOnly ? 'revoke' : 'rekey',
          reason: wanted.reason,
        })),
      },
    };
  }
  await requireConfirmed(deps, {
    users: targets.length,
    confirmUsers: wanted.confirmUsers,
    does: `re-key ${targets.length} users`,
    takes: takenBy(wanted, targets.length),
  });
  const { jobId } = await deps.ledger.recordRekeyJob({
    requestedBy: admin,
    reason: wanted.reason,
    ...(wanted.invalidityDate === undefined ? {} : { invalidityDate: new Date(wanted.invalidityDate) }),
    disableKeypairs: wanted.disableKeypairs,
    paceMs: Math.ceil(60_000 / deps.hintsPerMinute),
    users: targets,
  });
  await announce(deps, { jobId, admin, reason: wanted.reason }, targets);
  return { status: 202, body: { job: jobId, observed, revokedOnly } };
}

/** What is taken from so many users at once, or from their old mail; an overlap takes nothing. */
function takenBy(
  { reason, disableKeypairs }: { readonly reason: RevocationReason; readonly disableKeypairs: boolean },
  users: number,
): string | undefined {
  if (reason === 'keyCompromise') return `revoke the certificates of ${users} users at once`;
  if (disableKeypairs) return `disable the key pairs of ${users} users, whose old mail becomes unreadable`;
  return undefined;
}

/**
 * The job and its wishes are committed, and its users are due, the first of them now: those of the first minute are hinted at once,
 * and `due` finds the others as their time comes. From here on a failure is logged and not thrown: an
 * admin who is told "503" asks again, and everybody is re-keyed twice.
 */
async function announce(
  deps: RekeyDeps,
  job: { readonly jobId: string; readonly admin: string; readonly reason: RevocationReason },
  targets: readonly Target[],
): Promise<void> {
  const { jobId, admin, reason } = job;
  const at = deps.clock.now();
  const cause = { source: 'admin', eventId: jobId, event: 'rekey', actor: admin, at } as const;
  try {
    await deps.ledger.audit({
      cause,
      step: 'rekey-requested',
      reason: `${admin} asked to re-key ${targets.length} users (${reason}).`,
      outcome: 'done',
      details: { jobId, users: targets.length, revocationReason: reason },
    });
    const first = targets.slice(0, deps.hintsPerMinute);
    await deps.bus.publishHints(first.map(({ userId }) => ({ userId, cause })));
    deps.log.info('rekey-requested', { jobId, users: targets.length, reason, admin });
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    deps.log.error('rekey-not-announced', { jobId, code: error.code, message: error.message });
  }
}

/** Every name must be somebody the policy covers: a typo must not become a job that silently does less. */
async function namedUsers(
  deps: RekeyDeps,
  names: readonly string[],
  reason: RevocationReason,
): Promise<readonly Target[]> {
  const { policy } = await deps.policies.current();
  const targets = new Map<string, Target>();
  for (const name of names) {
    const target = await namedUser(deps, policy, name, reason);
    targets.set(target.userId, target);
  }
  return [...targets.values()];
}

async function namedUser(
  deps: RekeyDeps,
  policy: Policy,
  name: string,
  reason: RevocationReason,
): Promise<Target> {
  const isReport = reason === 'keyCompromise';
  const presence = await somebody(deps.directory, name);
  if (presence?.kind !== 'present') {
    const gone = isReport ? await goneHolder(deps, name) : undefined;
    if (gone !== undefined) return { ...gone, revokedOnly: true };
    const nobodyGone = isReport
      ? ', and nobody who is gone and was called that has a certificate in use'
      : '';
    throw permanent(
      'not-found',
      `Nobody in the directory is called ${name}${nobodyGone}.${howToName(name)}`,
      {
        details: { field: 'users' },
      },
    );
  }
  const { user } = presence;
  const place = await readPlace(deps.directory, policy, user);
  if (isCovered(policy, user, place)) {
    if (!isReport) refuseUnderObserve(ruleCovering(policy, user, place), name);
    return user;
  }
  const [holder] = isReport ? await deps.ledger.liveHolders([user.userId]) : [];
  if (holder !== undefined) return { ...user, revokedOnly: true };
  const noneInUse = isReport ? ' and has no certificate in use' : '';
  throw invalidInput(
    'malformed-request',
    `${name} is not covered by the policy (org unit ${user.orgUnitPath})${noneInUse}.`,
    { details: { field: 'users' } },
  );
}

/** Whoever had this id or address, is deleted or in no list, and has a certificate in use; the latest first. */
async function goneHolder(deps: RekeyDeps, name: string): Promise<LiveHolder | undefined> {
  for (const userId of [name, ...(await deps.ledger.userIdsOfAddress(name))]) {
    const [holder] = await deps.ledger.liveHolders([userId]);
    if (holder !== undefined && (await deps.directory.presence(userId)).kind !== 'present') return holder;
  }
  return undefined;
}

/** Whom a group or an issuer narrows the unit to; undefined where neither was asked for. */
async function among(
  deps: RekeyDeps,
  { group, issuer }: { readonly group?: string | undefined; readonly issuer?: string | undefined },
): Promise<ReadonlySet<string> | undefined> {
  if (issuer === undefined) return await membersOf(deps, group);
  if ((await deps.ledger.readIssuer(issuer)) === undefined)
    throw permanent(
      'not-found',
      `There is no issuer ${issuer}. "sealwright ca health" names those there are.`,
      {
        details: { field: 'issuer' },
      },
    );
  return new Set(await deps.ledger.holdersUnder(issuer));
}

/** Ids of a group's members; undefined when no group was asked for. */
async function membersOf(
  deps: RekeyDeps,
  address: string | undefined,
): Promise<ReadonlySet<string> | undefined> {
  if (address === undefined) return undefined;
  const group = await deps.directory.group(address.toLowerCase());
  if (group === undefined)
    throw permanent('not-found', `There is no group ${address}.`, { details: { field: 'group' } });
  const members = new Set<string>();
  for await (const userId of deps.directory.groupMembers(group.groupId)) members.add(userId);
  return members;
}

/**
 * Whom a rule covers that acts; a reported compromise is carried out under every rule. Throws `conflict` where only such as are
 * observed fit.
 */
async function usersUnder(
  deps: RekeyDeps,
  orgUnit: string,
  { among, reason }: { readonly among: ReadonlySet<string> | undefined; readonly reason: RevocationReason },
): Promise<Chosen> {
  const { policy } = await deps.policies.current();
  const placeOf = await readPlaces(deps.directory, policy);
  const holders = new Map(
    reason === 'keyCompromise'
      ? (await deps.ledger.liveHolders()).map((holder) => [holder.userId, holder])
      : [],
  );
  const targets: Target[] = [];
  let observing: PolicyRule | undefined;
  let observed = 0;
  for await (const user of deps.directory.usersUnder(orgUnit)) {
    if (among?.has(user.userId) === false) continue;
    // A unit that came after the tree was read is looked up by itself.
    const place = placeOf(user) ?? (await readPlace(deps.directory, policy, user));
    const isHolder = holders.delete(user.userId);
    if (!isCovered(policy, user, place)) {
      if (isHolder) targets.push({ ...user, revokedOnly: true });
      continue;
    }
    const rule = ruleCovering(policy, user, place);
    if (rule?.observeOnly === true && reason !== 'keyCompromise') {
      observed += 1;
      observing ??= rule;
      continue;
    }
    targets.push({ userId: user.userId, primaryEmail: user.primaryEmail });
    refuseTooMany(targets.length);
  }
  for (const holder of await formerlyIn(deps, policy, placeOf, orgUnit, holders))
    if (among?.has(holder.userId) !== false) targets.push({ ...holder, revokedOnly: true });
  refuseTooMany(targets.length);
  if (targets.length === 0) refuseUnderObserve(observing, `the ${observed} who fit`);
  return { targets, observed };
}

function refuseTooMany(users: number): void {
  if (users > MAX_USERS)
    throw invalidInput('malformed-request', `More than ${MAX_USERS} users fit; ask for smaller units.`);
}

/**
 * Of those who hold a certificate and are not listed in the unit, whoever was last seen covered in it and is covered nowhere
 * now: moved out of every rule, archived elsewhere, deleted or in no list.
 */
async function formerlyIn(
  deps: RekeyDeps,
  policy: Policy,
  placeOf: Awaited<ReturnType<typeof readPlaces>>,
  orgUnit: string,
  holders: ReadonlyMap<string, LiveHolder>,
): Promise<readonly LiveHolder[]> {
  const left = new Map([...holders].filter(([, { unit }]) => isWithin(unit ?? '/', orgUnit)));
  // Whoever is in any list was listed under the root already.
  if (left.size === 0 || orgUnit === '/') return [...left.values()];
  for await (const user of deps.directory.usersUnder('/')) {
    if (!left.has(user.userId)) continue;
    const place = placeOf(user) ?? (await readPlace(deps.directory, policy, user));
    if (isCovered(policy, user, place)) left.delete(user.userId);
  }
  return [...left.values()];
}

const isCovered = (policy: Policy, user: DirectoryUser, place: Place | undefined): boolean =>
  ruleCovering(policy, user, place) !== undefined && !user.archived;
