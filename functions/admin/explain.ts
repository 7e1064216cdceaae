import type { ActivePolicySource } from '../../shared/activation/active-policy.ts';
import { readPlace } from '../../shared/activation/places.ts';
import { type Chapter, explain } from '../../shared/audit/explain.ts';
import type { DirectoryPresence, DirectoryUser } from '../../shared/domain/directory-user.ts';
import type { Place } from '../../shared/domain/place.ts';
import type { Policy } from '../../shared/domain/policy.ts';
import { UNKNOWN_USER, type UserLedger } from '../../shared/domain/records.ts';
import { isSealwrightError, permanent } from '../../shared/errors.ts';
import { type Consideration, considerations, nearest, ruleCovering } from '../../shared/plan/scope.ts';
import { protectionIn } from '../../shared/plan/standing.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Directory } from '../../shared/ports/directory.ts';
import type { ChainedEntry } from '../../shared/ports/ledger/audit-chains.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { HttpAnswer } from '../wire/http.ts';
import { howToName, somebody } from './somebody.ts';

export interface ExplainDeps {
  readonly clock: Clock;
  readonly policies: ActivePolicySource;
  readonly directory: Pick<Directory, 'presence' | 'resolve'> & Parameters<typeof readPlace>[0];
  readonly ledger: Pick<
    Ledger,
    'readUser' | 'userIdOfAddress' | 'auditTrail' | 'crlListings' | 'latestHolders'
  >;
}

const PAGE = 1_000;

/**
 * `{"user","userId","chapters":[{"title","sentences":[…]}]}`: what happened to somebody, why, and what comes next; of somebody of whom
 * the ledger has nothing what directory and policy say. `not-found` for who is nowhere.
 */
export async function explainUser(deps: ExplainDeps, name: string): Promise<HttpAnswer> {
  const userId = /^\d+$/.test(name) ? name : await deps.ledger.userIdOfAddress(name.toLowerCase());
  const ledger = userId === undefined ? undefined : await deps.ledger.readUser(userId);
  if (ledger?.user === undefined) return await explainUnknown(deps, name, userId);
  const { user } = ledger;
  const revoked = ledger.leaves.filter(({ revocation }) => revocation !== undefined);
  const [trail, listings, standing] = await Promise.all([
    wholeTrail(deps, user.userId),
    deps.ledger.crlListings(revoked.map(({ serialHex }) => serialHex)),
    standingNow(deps, user.userId, ledger),
  ]);
  const chapters = explain({ now: deps.clock.now(), user, ledger, trail, listings, standing });
  return { status: 200, body: { user: user.primaryEmail, userId: user.userId, chapters } };
}

async function explainUnknown(
  deps: ExplainDeps,
  name: string,
  known: string | undefined,
): Promise<HttpAnswer> {
  const presence = await somebody(deps.directory, known ?? name);
  if (presence === undefined)
    throw permanent(
      'not-found',
      `Neither the ledger nor the directory knows anybody called ${name}.${howToName(name)}`,
    );
  const userId = presence.kind === 'present' ? presence.user.userId : presence.userId;
  const where =
    presence.kind === 'deleted'
      ? 'is among the deleted accounts of the directory'
      : `is in the directory, in the org unit ${presence.user.orgUnitPath}`;
  const user = presence.kind === 'deleted' ? name : presence.user.primaryEmail;
  const isCovered = presence.kind === 'present' && (await isCoveredNow(deps, presence.user));
  const chapters: readonly Chapter[] = [
    {
      title: 'State',
      sentences: [
        `${user} (user id ${userId}) ${where}, and no rule has covered them at any look.`,
        'Nothing is kept about them, but for ninety days the last event that named them.',
      ],
    },
    ...(presence.kind === 'deleted'
      ? []
      : [{ title: 'Policy' as const, sentences: [await standingNow(deps, userId, UNKNOWN_USER)] }]),
    {
      title: 'Next',
      sentences: [
        isCovered
          ? 'They are looked at when an event names them, or in a wave after the next sweep ("sealwright rollout status").'
          : 'Nothing, until directory or policy say something else.',
      ],
    },
  ];
  return { status: 200, body: { user, userId, chapters } };
}

/** False where that is not known. */
async function isCoveredNow(deps: ExplainDeps, user: DirectoryUser): Promise<boolean> {
  try {
    const { policy } = await deps.policies.current();
    return ruleCovering(policy, user, await readPlace(deps.directory, policy, user)) !== undefined;
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    return false;
  }
}

async function wholeTrail(deps: ExplainDeps, userId: string): Promise<readonly ChainedEntry[]> {
  const trail: ChainedEntry[] = [];
  for (;;) {
    const afterId = trail.at(-1)?.id ?? 0n;
    const page = await deps.ledger.auditTrail({ userId, afterId, limit: PAGE });
    trail.push(...page);
    if (page.length < PAGE) return trail;
  }
}

/** A directory that does not answer, and a policy that is not in force, are said and stop nothing. */
async function standingNow(deps: ExplainDeps, userId: string, ledger: UserLedger): Promise<string> {
  try {
    const { policy } = await deps.policies.current();
    const presence = await deps.directory.presence(userId);
    if (presence.kind !== 'present') {
      const where =
        presence.kind === 'deleted'
          ? 'The directory lists the account among the deleted.'
          : 'The directory has the account in no list.';
      return where + (await protectionNow(deps, policy, { userId, presence, ledger }));
    }
    const { user } = presence;
    const place = await readPlace(deps.directory, policy, user);
    const considered = considerations(policy, user, place);
    const guarded = await protectionNow(deps, policy, {
      userId,
      presence,
      ledger,
      ...(place === undefined ? {} : { place }),
    });
    const covering = considered.find(({ fits }) => fits);
    const where = `in the org unit ${user.orgUnitPath}${user.suspended ? ', suspended' : ''}${user.archived ? ', archived' : ''}`;
    return covering === undefined
      ? `The account is ${where}; no rule of the policy in force covers it.${nearestOf(nearest(considered, user))}${guarded}`
      : `The account is ${where}; rule "${covering.rule.name}" covers it: ${covering.why}.${guarded}`;
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    return `How the policy sees the account now is not known: ${error.message}`;
  }
}

/** A sentence behind another, or nothing. */
async function protectionNow(
  { ledger }: ExplainDeps,
  policy: Policy,
  seen: {
    readonly userId: string;
    readonly presence: DirectoryPresence;
    readonly ledger: UserLedger;
    readonly place?: Place;
  },
): Promise<string> {
  const holders = seen.presence.kind === 'present' ? [] : await ledger.latestHolders(policy.protected.users);
  const formerAddresses = holders.flatMap(({ address, userId }) => (userId === seen.userId ? [address] : []));
  const protectedAs = protectionIn({ ...seen, formerAddresses }, policy);
  return protectedAs === undefined
    ? ''
    : ` It is protected (${protectedAs}): its departure waits for an admin, whatever the guard's limits say.`;
}

const nearestOf = (near: Consideration | undefined): string =>
  near === undefined ? '' : ` The nearest is rule "${near.rule.name}": ${near.why}.`;
