/** What fits the schema field by field and yet makes no sense as a whole. */
import { isLoopbackHost } from '../domain/loopback.ts';
import { isWithin } from '../domain/org-unit-path.ts';
import { type SubjectTemplate, subjectTemplateMistake } from '../domain/subject-template.ts';
import { DAY_MS } from './duration.ts';
import { type PolicyFile, type RuleEntry, USUAL_SUSPENSION_MS } from './policy-schema.ts';

export interface Contradiction {
  /** Where in the file. */
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

export function contradictionsOf(policy: PolicyFile): readonly Contradiction[] {
  return [
    ...policy.rules.flatMap((entry, index) =>
      [
        ...scopeOf(entry, policy.rules.slice(0, index)),
        ...excludeOf(entry),
        ...timesOf(entry),
        ...termsOf(entry),
        ...keysOf(entry),
        ...subjectOf(entry),
      ].map(({ path, message }) => ({ path: ['rules', index, ...path], message })),
    ),
    ...guardOf(policy),
  ];
}

/** Where somebody was left out by mistake is worth a refusal: exactly one scope, one rule for each. */
function scopeOf(entry: RuleEntry, earlier: readonly RuleEntry[]): Contradiction[] {
  const found: Contradiction[] = [];
  if (earlier.some((other) => other.name === entry.name)) {
    found.push({ path: ['name'], message: `two rules are called "${entry.name}"` });
  }
  if (entry.orgUnit !== undefined && entry.group !== undefined) {
    found.push({
      path: ['group'],
      message: `rule "${entry.name}" names both an orgUnit and a group; write a rule for each`,
    });
  }
  const { orgUnit, group } = entry;
  if (orgUnit !== undefined && earlier.some((other) => sameUnit(other.orgUnit, orgUnit))) {
    found.push({ path: ['orgUnit'], message: `two rules cover ${orgUnit}` });
  }
  if (group !== undefined && earlier.some((other) => other.group === group)) {
    found.push({ path: ['group'], message: `two rules cover ${group}` });
  }
  return found;
}

/** A folder holds one wrapped key for each person; a card's keys are in no key service. */
function keysOf({ keySource, keyService, profile }: RuleEntry): Contradiction[] {
  if (keySource === 'smart-card' && keyService !== undefined) {
    return [
      {
        path: ['keyService'],
        message: 'keys on smart cards are in no key service; leave keyService out, or keySource',
      },
    ];
  }
  const found: Contradiction[] = [];
  if (keyService !== undefined && !isReachedSafely(keyService)) {
    found.push({
      path: ['keyService'],
      message: `${keyService} is no https address: users' private keys travel to it, and Gmail asks it over https alone`,
    });
  }
  if (keySource === 'supplied' && profile === 'split') {
    found.push({
      path: ['keySource'],
      message: 'a supplied key both signs and encrypts; write profile: dual-use, or keySource: made',
    });
  }
  return found;
}

/** Over https, or on this machine, where the system is tried. */
function isReachedSafely(address: string): boolean {
  const { protocol, hostname } = new URL(address);
  return protocol === 'https:' || (protocol === 'http:' && isLoopbackHost(hostname));
}

/** A renewal that fails needs time for another try, and for somebody to be told of it. */
const LEAST_RENEW_BEFORE_MS = DAY_MS;
/** With a smaller share of `renewBefore`, whoever joined in one hour is renewed in nearly the same hour. */
const LEAST_SPREAD = 1 / 10;

function subjectOf({ subject }: RuleEntry): Contradiction[] {
  const mistake = subjectTemplateMistake(templateOf(subject));
  return mistake === undefined ? [] : [{ path: ['subject'], message: `the subject template ${mistake}` }];
}

/** Without the fields that were left out. */
export const templateOf = (subject: RuleEntry['subject']): SubjectTemplate =>
  Object.fromEntries(
    Object.entries(subject).filter((field): field is [string, string] => field[1] !== undefined),
  );

function excludeOf({ orgUnit, group, exclude }: RuleEntry): Contradiction[] {
  const units = exclude.orgUnits.flatMap((unit, index): Contradiction[] => {
    const path = ['exclude', 'orgUnits', index];
    if (orgUnit === undefined) return [];
    if (isWithin(orgUnit, unit)) {
      return [{ path, message: `excluding ${unit} leaves nobody of ${orgUnit}` }];
    }
    if (isWithin(unit, orgUnit)) return [];
    return [{ path, message: `${unit} is not below ${orgUnit}, so excluding it does nothing` }];
  });
  const groups = exclude.groups.flatMap((name, index): Contradiction[] =>
    name === group
      ? [{ path: ['exclude', 'groups', index], message: `excluding ${name} leaves nobody of ${group}` }]
      : [],
  );
  return [...units, ...groups];
}

function timesOf(entry: RuleEntry): Contradiction[] {
  const validityMs = entry.validity * DAY_MS;
  const { superseded } = entry.grace;
  const found: Contradiction[] = [];
  if (entry.renewBefore + renewSpreadMs(entry) >= validityMs) {
    found.push({
      path: [entry.renewSpread === undefined ? 'renewBefore' : 'renewSpread'],
      message:
        entry.renewSpread === undefined
          ? 'renewBefore must be less than three quarters of validity: renewals begin up to a third earlier, and a certificate must not be due at birth'
          : 'renewBefore and renewSpread together must be less than validity: a certificate must not be due at birth',
    });
  }
  // The shorter a certificate lives, the less there can be.
  if (entry.renewBefore < Math.min(LEAST_RENEW_BEFORE_MS, validityMs / 4)) {
    found.push({
      path: ['renewBefore'],
      message:
        'renewBefore is less than a day: a renewal that fails could not be tried again, nor anybody told, before the certificate ends',
    });
  } else if (renewSpreadMs(entry) < entry.renewBefore * LEAST_SPREAD) {
    found.push({
      path: ['renewSpread'],
      message:
        'renewSpread is less than a tenth of renewBefore: everybody who joined at once would be renewed at once; leave it out for a third',
    });
  }
  if (superseded !== 'never' && superseded > validityMs) {
    found.push({
      path: ['grace', 'superseded'],
      message: 'superseded is longer than validity: the replaced certificate ends before; write never',
    });
  }
  for (const name of ['leave', 'suspended', 'archived', 'deleted'] as const) {
    // What nobody wrote is no contradiction: with short-lived certificates the default merely outlasts them.
    const unwritten = name === 'suspended' ? USUAL_SUSPENSION_MS : 0;
    if ((entry.grace[name] ?? 0) <= Math.max(validityMs, unwritten)) continue;
    found.push({
      path: ['grace', name],
      message: `${name} is longer than validity: the certificate ends before it would be revoked`,
    });
  }
  return found;
}

const WHEN = ['onLeave', 'onSuspend', 'onArchive'] as const;

function termsOf(entry: RuleEntry): Contradiction[] {
  return WHEN.filter((when) => entry[when].identity === 'keep' && entry[when].keyPair === 'disable').map(
    (when) => ({
      path: [when, 'keyPair'],
      message: `${when} keeps the identity and disables its key pair: nothing could be sent with it; delete the identity or keep the pair`,
    }),
  );
}

function guardOf({ guard }: PolicyFile): Contradiction[] {
  return guard.minimumPerHour > guard.maximumPerHour
    ? [
        {
          path: ['guard', 'minimumPerHour'],
          message: `minimumPerHour (${guard.minimumPerHour}) is more than maximumPerHour (${guard.maximumPerHour})`,
        },
      ]
    : [];
}

/**
 * Rules without a scope, or without a key service where they need one; asked of the file as it was read, so that it is said
 * together with other mistakes.
 */
export function missingFields(file: unknown): readonly Contradiction[] {
  const rules = (file as { rules?: unknown } | null)?.rules;
  if (!Array.isArray(rules)) return [];
  return rules.flatMap((entry: unknown, index): Contradiction[] => {
    if (entry === null || typeof entry !== 'object') return [];
    const onCards = 'keySource' in entry && entry.keySource === 'smart-card';
    return [
      ...('orgUnit' in entry || 'group' in entry
        ? []
        : ['the rule names neither an "orgUnit" nor a "group" to cover']),
      ...('keyService' in entry || onCards ? [] : ['"keyService" is missing']),
    ].map((message) => ({ path: ['rules', index], message }));
  });
}

/** Default: a third of `renewBefore`. */
export const renewSpreadMs = ({ renewBefore, renewSpread }: RuleEntry): number =>
  renewSpread ?? Math.floor(renewBefore / 3);

const sameUnit = (one: string | undefined, other: string): boolean =>
  one !== undefined && isWithin(one, other) && isWithin(other, one);
