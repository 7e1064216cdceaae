/** What an admin asks about policies: is a draft sound, what would it do, which rule covers somebody; and: put it in force. */
import { z } from 'zod';
import {
  type ActivePolicySource,
  activationKey,
  policyDigest,
} from '../../shared/activation/active-policy.ts';
import { emptyRules, unknownNames } from '../../shared/activation/live-check.ts';
import { unknownUsers } from '../../shared/activation/named-users.ts';
import { type Resolution, resolvePins } from '../../shared/activation/pins.ts';
import { readPlace } from '../../shared/activation/places.ts';
import { type ParsedPolicy, type PolicyMistake, parsePolicyFile } from '../../shared/config/policy.ts';
import { warningsOf } from '../../shared/config/policy-warnings.ts';
import type { Policy } from '../../shared/domain/policy.ts';
import { type PolicyPins, pinnedPolicy } from '../../shared/domain/policy-pins.ts';
import { invalidInput, isSealwrightError, permanent, type SealwrightError } from '../../shared/errors.ts';
import { planFor } from '../../shared/plan/plan.ts';
import { considerations, protectionOf } from '../../shared/plan/scope.ts';
import { standingOf } from '../../shared/plan/standing.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { factsByLedger } from '../../shared/what-if/ledger-facts.ts';
import {
  type Asked,
  type Drafts,
  type WhatIf,
  type WhatIfDeps,
  whatIf,
} from '../../shared/what-if/what-if.ts';
import type { HttpAnswer } from '../wire/http.ts';
import { bodyOf } from './body.ts';
import { howToName, somebody } from './somebody.ts';

export interface PolicyDeps extends WhatIfDeps {
  readonly policies: ActivePolicySource;
  readonly ledger: WhatIfDeps['ledger'] &
    Pick<
      Ledger,
      'readUser' | 'userIdOfAddress' | 'recordPolicyActivation' | 'latestPolicyActivation' | 'audit'
    >;
}

const text = z.string().min(1).max(500_000);
const checkRequest = z.strictObject({ policy: text });
const whatIfRequest = z
  .strictObject({
    policy: text,
    since: z.iso.datetime({ offset: true }).optional(),
    /** As many users as there is time for; the answer's `next` is the `from` of the next request. */
    inParts: z.literal(true).optional(),
    from: z.string().min(1).max(10_000).optional(),
  })
  .refine(({ inParts, since, from }) => (inParts ? since === undefined : from === undefined), {
    error: '"inParts" goes without "since", and "from" only with "inParts"',
    path: ['inParts'],
  });
const count = z.int().min(0);
/** Sums of the parts of a forecast, as the admin's own requests for them were answered. */
const forecastInParts = z.strictObject({
  changes: z.record(z.enum(['joins', 'leaves', 'other-rule', 'held', 'steps', 'unchanged']), count),
  coveredByRule: z.record(z.string(), count),
  guard: z.array(
    z.strictObject({ scope: z.string(), covered: count, departing: count, limit: count, held: z.boolean() }),
  ),
});
const testRequest = z.strictObject({ user: z.string().min(1), policy: text.optional() });
const activateRequest = z.strictObject({
  policy: text,
  allowEmptyRules: z.boolean().default(false),
  withoutForecast: z.boolean().default(false),
  /** Believed, as the wish to go without one is: it is the admin who puts the policy in force. */
  forecast: forecastInParts.optional(),
});

/**
 * All that is wrong with a draft, the directory asked, and whom each rule would cover. 200 also for a bad draft. Where the
 * directory is too large to be counted within a request, `notCounted` says so, nothing is said about empty rules and of nothing is warned.
 */
export async function checkPolicy(deps: PolicyDeps, body: unknown): Promise<HttpAnswer> {
  const { policy } = bodyOf(checkRequest, body);
  let parsed: ParsedPolicy;
  try {
    parsed = parsePolicyFile(policy, 'policy');
  } catch (error) {
    const mistakes = mistakesOf(error);
    if (mistakes === undefined) throw error;
    return { status: 200, body: { mistakes, coveredByRule: {} } };
  }
  const before = await inForce(deps);
  const { pins, unknown } = await resolveNames(deps, parsed.policy, before?.pins);
  if (unknown.length > 0) {
    return { status: 200, body: { mistakes: unknownNames(parsed, unknown), coveredByRule: {} } };
  }
  const draft = pinnedPolicy(parsed.policy, pins);
  try {
    const { coveredByRule } = await whatIf(deps, { before: undefined, draft });
    return {
      status: 200,
      body: { mistakes: emptyRules(parsed, coveredByRule), coveredByRule, ...warned(draft, coveredByRule) },
    };
  } catch (error) {
    if (!isTooLarge(error)) throw error;
    return { status: 200, body: { mistakes: [], coveredByRule: {}, notCounted: error.message } };
  }
}

/**
 * What a draft would do to everybody; with `since`, to those who were looked at after that instant. `inForce` tells the
 * activation it was compared with from all others, so that parts of a forecast are known to be of one.
 */
export async function forecastPolicy(deps: PolicyDeps, body: unknown): Promise<HttpAnswer> {
  const { policy, ...request } = bodyOf(whatIfRequest, body);
  if (request.since !== undefined && Date.parse(request.since) > deps.clock.now().getTime()) {
    throw invalidInput('malformed-request', `"since": ${request.since} is in the future.`, {
      details: { field: 'since' },
    });
  }
  const { draft, before, inForce } = await compared(deps, policy);
  const forecast = await whatIf(deps, { before, draft }, askedIn(request));
  // Of a part, and of those whom events named, the numbers do not say how many are covered.
  const warnings =
    request.since === undefined && !request.inParts ? warned(draft, forecast.coveredByRule) : {};
  return { status: 200, body: { ...forecast, ...warnings, inForce } };
}

/** Nothing where there is nothing to warn of. */
function warned(policy: Policy, coveredByRule: Readonly<Record<string, number>>) {
  const warnings = warningsOf(policy, coveredByRule);
  return warnings.length === 0 ? {} : { warnings };
}

function askedIn({ since, inParts, from }: Omit<z.output<typeof whatIfRequest>, 'policy'>): Asked {
  if (since !== undefined) return { kind: 'named-since', since: new Date(since) };
  if (inParts === undefined) return { kind: 'everybody' };
  return { kind: 'part', ...(from === undefined ? {} : { from }) };
}

interface Compared {
  readonly parsed: ParsedPolicy;
  readonly pins: PolicyPins;
  readonly draft: Policy;
  readonly before: Policy | undefined;
  /** Tells the activation that is in force from all others. */
  readonly inForce: string | null;
}

/** The draft with pins beside the policy in force. Throws `policy-invalid` with every mistake and its place. */
async function compared(deps: PolicyDeps, policy: string): Promise<Compared> {
  const parsed = parsePolicyFile(policy, 'policy');
  const before = await inForce(deps);
  const { pins, unknown } = await resolveNames(deps, parsed.policy, before?.pins);
  if (unknown.length > 0) throw refuse(unknownNames(parsed, unknown));
  return {
    ...{ parsed, pins, draft: pinnedPolicy(parsed.policy, pins) },
    ...{
      before: before?.policy,
      inForce: before === undefined ? null : activationKey(before.digest, before.pins),
    },
  };
}

/** The pins of units and groups, and every name that the directory does not know, users' too. */
async function resolveNames(
  { directory }: Pick<PolicyDeps, 'directory'>,
  policy: Policy,
  before: PolicyPins | undefined,
): Promise<Resolution> {
  const { pins, unknown } = await resolvePins(directory, policy, before);
  return { pins, unknown: [...unknown, ...(await unknownUsers(directory, policy))] };
}

/** Undefined while nothing is in force. */
async function inForce(deps: PolicyDeps) {
  try {
    return await deps.policies.current();
  } catch (error) {
    if (!isSealwrightError(error) || error.code !== 'policy-not-active') throw error;
    return undefined;
  }
}

/** Which rule covers somebody, every rule with why or why not, and what would be done now. */
export async function testPolicy(deps: PolicyDeps, body: unknown): Promise<HttpAnswer> {
  const { user: name, policy: text } = bodyOf(testRequest, body);
  const { policy, digest } =
    text === undefined
      ? await deps.policies.current()
      : { policy: (await compared(deps, text)).draft, digest: policyDigest(text) };
  const presence = await somebody(deps.directory, name);
  if (presence?.kind !== 'present') {
    throw permanent('not-found', `Nobody in the directory is called ${name}.${howToName(name)}`, {
      details: { field: 'user' },
    });
  }
  const { user } = presence;
  const place = await readPlace(deps.directory, policy, user);
  const ledger = await deps.ledger.readUser(user.userId);
  const states = new Map(
    (await deps.ledger.issuers()).map(({ issuerId, state }) => [issuerId, state] as const),
  );
  const facts = factsByLedger(user.userId, deps.clock.now(), presence, place, ledger, states);
  const standing = standingOf(facts, policy);
  const { steps, verdict } = planFor(facts, policy);
  const protectedAs = protectionOf(policy, user, place);
  return {
    status: 200,
    body: {
      user: user.primaryEmail,
      userId: user.userId,
      orgUnit: user.orgUnitPath,
      policy: digest,
      standing: standing.kind,
      ...('rule' in standing ? { rule: standing.rule.name } : {}),
      ...('why' in standing ? { why: standing.why } : {}),
      ...(protectedAs === undefined ? {} : { protectedAs }),
      considered: considerations(policy, user, place).map(({ rule, fits, why }) => ({
        rule: rule.name,
        fits,
        why,
      })),
      steps: steps.map(({ kind, reason }) => ({ kind, reason })),
      verdict: { state: verdict.state, reason: verdict.reason },
    },
  };
}

/**
 * An admin's word that this text is in force with the ids its names stand for now, whatever they stood for before. It is
 * forecast for everybody first, unless the admin brings a forecast made in parts, or says that it is to go without; then the answer
 * and the audit trail say that nobody was compared and no rule was looked at for whether it matches anybody.
 */
export async function activatePolicy(deps: PolicyDeps, admin: string, body: unknown): Promise<HttpAnswer> {
  const { policy: text, allowEmptyRules, withoutForecast, forecast: brought } = bodyOf(activateRequest, body);
  const { parsed, pins, draft, before } = await compared(deps, text);
  const forecast = withoutForecast ? undefined : (brought ?? (await forecastFirst(deps, { before, draft })));
  const empty = forecast === undefined ? [] : emptyRules(parsed, forecast.coveredByRule);
  if (empty.length > 0 && !allowEmptyRules) throw refuse(empty);
  const digest = policyDigest(text);
  await deps.ledger.recordPolicyActivation({ digest, text, pins, activatedBy: admin, automatic: false });
  await deps.ledger.audit({
    cause: { source: 'admin', eventId: digest, event: 'policy', actor: admin },
    step: 'policy-activated',
    outcome: 'done',
    ...said(
      `${admin} put the policy ${digest.slice(0, 12)} in force${brought === undefined ? '' : ', compared in parts'}`,
      digest,
      forecast,
    ),
  });
  if (forecast === undefined) return { status: 200, body: { digest, pins, noForecast: NO_FORECAST } };
  const { changes, coveredByRule, guard } = forecast;
  return {
    status: 200,
    body: { digest, pins, changes, coveredByRule, guard, ...warned(draft, coveredByRule) },
  };
}

const NO_FORECAST =
  'No forecast was made, because the admin asked to go without: nobody was compared, and a rule that matches nobody was not looked for. The guard holds what passes its limits.';

async function forecastFirst(deps: PolicyDeps, drafts: Drafts): Promise<WhatIf> {
  try {
    return await whatIf(deps, drafts);
  } catch (error) {
    if (!isTooLarge(error)) throw error;
    throw invalidInput(
      'request-too-large',
      `${error.message} Nothing was put in force. Ask for it with "withoutForecast": true (sealwright policy activate --without-forecast) if it is to be in force without anybody having been compared.`,
      { cause: error },
    );
  }
}

/** The line of the audit trail. */
function said(what: string, digest: string, forecast: Pick<WhatIf, 'changes' | 'guard'> | undefined) {
  if (forecast === undefined)
    return { reason: `${what}. ${NO_FORECAST}`, details: { digest, forecast: false } };
  const { changes, guard } = forecast;
  const departing = guard.find(({ scope }) => scope === 'tenant')?.departing ?? 0;
  return {
    reason: `${what}: ${changes.joins} join, ${changes.leaves} leave, ${departing} would depart.`,
    details: { digest, joins: changes.joins, leaves: changes.leaves, departing },
  };
}

const isTooLarge = (error: unknown): error is SealwrightError =>
  isSealwrightError(error) && error.code === 'request-too-large';

function mistakesOf(error: unknown): readonly PolicyMistake[] | undefined {
  if (!isSealwrightError(error) || error.code !== 'policy-invalid') return undefined;
  return (error.details as { readonly mistakes?: readonly PolicyMistake[] } | undefined)?.mistakes;
}

function refuse(mistakes: readonly PolicyMistake[]) {
  const list = mistakes.map(({ line, column, message }) => `policy:${line}:${column}: ${message}`);
  return invalidInput('policy-invalid', `The policy was not taken. ${list.join('; ')}.`, {
    details: { mistakes },
  });
}
