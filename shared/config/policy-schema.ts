/** The policy file's shape, field by field; `docs/policy.md` describes each for an admin, `docs/policy.schema.json` for editors. */
import { z } from 'zod';
import { DAY_MS, HOUR_MS, parseDuration } from './duration.ts';

/** Google's 27 months can be as few as 819 days. */
const MAX_VALIDITY_DAYS = 819;
/** An account can be undeleted for 20 days; an erasure must never come near them. */
const LEAST_WRAPPED_KEYS_MS = 30 * DAY_MS;
/** From suspension to revocation where a policy does not say. */
export const USUAL_SUSPENSION_MS = 30 * DAY_MS;

/** What editors are told of a length of time; those of whole days may be bounded. */
const LENGTH = '^[0-9]+[smhd]$';

const noLength = (input: unknown) =>
  `${JSON.stringify(input)} is no length of time; write a number and a unit, such as 30d, 72h, 15m or 0s`;

const lengthOfTime = (pattern: string) =>
  z
    .string({ error: ({ input }) => noLength(input) })
    .meta({
      description: 'A length of time: a number and a unit, such as 30d, 72h, 15m or 0s.',
      pattern,
    })
    .transform((text, context) => {
      const milliseconds = parseDuration(text);
      if (milliseconds !== undefined) return milliseconds;
      context.addIssue({ code: 'custom', message: noLength(text) });
      return z.NEVER;
    });

const duration = lengthOfTime(LENGTH);

/** 1 to 819 (`MAX_VALIDITY_DAYS`); in other units only the parser counts. */
const VALIDITY = '^0*(?:[1-9][0-9]?|[1-7][0-9]{2}|80[0-9]|81[0-9])d$|^[0-9]+[smh]$';
/** 30 or more (`LEAST_WRAPPED_KEYS_MS`). */
const WRAPPED_KEYS = '^0*(?:[3-9][0-9]|[1-9][0-9]{2,})d$|^[0-9]+[smh]$';

const days = lengthOfTime(VALIDITY).transform((milliseconds, context) => {
  if (milliseconds % DAY_MS === 0 && milliseconds > 0) return milliseconds / DAY_MS;
  context.addIssue({
    code: 'custom',
    message: 'validity is counted in whole days, at least one, such as 365d',
  });
  return z.NEVER;
});

const ORG_UNIT = 'an org unit is an absolute path without a slash at its end, such as /Staff or /Staff/Legal';

const orgUnit = z.string(ORG_UNIT).regex(/^\/(?:[^/]+(?:\/[^/]+)*)?$/, ORG_UNIT);

const ADDRESS = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;

const GROUP = 'a group is named by its address, such as legal@example.com';

const group = z
  .string(GROUP)
  .regex(ADDRESS, GROUP)
  .transform((address) => address.toLowerCase());

const user = z
  .union([z.string().regex(ADDRESS), z.string().regex(/^\d{5,32}$/)], {
    error:
      'a user is named by an address, such as ana@example.com, or by the directory id in quotes, such as "111222333444555"',
  })
  .transform((name) => name.toLowerCase());

const selection = {
  orgUnits: z.array(orgUnit).default([]).describe('These units and everything below them, by path.'),
  groups: z
    .array(group)
    .default([])
    .describe('The members of these groups, by address, nested ones included.'),
  users: z.array(user).default([]).describe('These users, by address or by directory id in quotes.'),
};

const grace = z.strictObject({
  leave: duration.default(24 * HOUR_MS).describe('From leaving scope to revocation. Default 24h.'),
  suspended: duration.default(USUAL_SUSPENSION_MS).describe('From suspension to revocation. Default 30d.'),
  archived: duration.optional().describe('From archiving to revocation. Default: as leave.'),
  deleted: duration.default(0).describe('From deletion to revocation. Default 0s.'),
  superseded: z
    .union([z.literal('never'), duration], {
      error: 'superseded is a length of time such as 72h, or never: the replaced certificate runs out',
    })
    .default(72 * HOUR_MS)
    .describe('From re-key or rename to revocation of the replaced certificate. Default 72h.'),
  wrappedKeys: z
    .union(
      [
        z.literal('keep'),
        lengthOfTime(WRAPPED_KEYS).refine((milliseconds) => milliseconds >= LEAST_WRAPPED_KEYS_MS, {
          error:
            'wrappedKeys is at least 30d: Google lets a deleted account be undeleted for 20 days, and an erased key never opens mail again',
        }),
      ],
      {
        error: 'wrappedKeys is keep, or a length of time such as 180d, after which two admins may erase them',
      },
    )
    .default('keep')
    .describe(
      'From deletion until the wrapped keys are due for erasure, which two admins have to ask for; at least 30d. Default keep.',
    ),
});

const terms = (identity: 'delete' | 'keep') =>
  z
    .strictObject({
      identity: z
        .enum(['delete', 'keep'])
        .default(identity)
        .describe(`Whether the identity in Gmail is deleted. Default ${identity}.`),
      keyPair: z
        .enum(['keep', 'disable'])
        .default('keep')
        .describe('Whether key pairs are disabled, so that old mail cannot be read in Gmail. Default keep.'),
    })
    .default({ identity, keyPair: 'keep' });

/** Checked as a whole by `contradictionsOf`: which texts go together is `shared/domain/subject-template.ts`. */
const SUBJECT = z
  .strictObject({
    commonName: z.string().describe('"{address}" (default) or "{givenName} {familyName}".'),
    givenName: z.string().optional().describe('"{givenName}".'),
    surname: z.string().optional().describe('"{familyName}".'),
    organization: z.string().optional().describe('Legal name of the organization.'),
    organizationIdentifier: z
      .string()
      .optional()
      .describe('Registration of the organization, such as NTRDE-HRB123456 or VATDE-123456789.'),
    country: z.string().optional().describe('Two capital letters.'),
  })
  .default({ commonName: '{address}' })
  .describe(
    'What certificates say of the person. Default: commonName "{address}" alone. With names: all fields but country.',
  );

const ALIASES = { true: 'next', false: 'no' } as const;

const exclude = z.strictObject(selection);

export const RULE = z.strictObject({
  name: z
    .string()
    .min(1)
    .describe('The ledger remembers it: who leaves departs by the terms of the rule of this name.'),
  orgUnit: orgUnit.optional().describe('This unit and everything below it. Or else: group.'),
  group: group.optional().describe('The members of this group, nested ones included. Or else: orgUnit.'),
  exclude: exclude.default({ orgUnits: [], groups: [], users: [] }).describe('Not covered by this rule.'),
  mode: z
    .enum(['act', 'observe'])
    .default('act')
    .describe('observe: plans are made and recorded, nothing is done. Default act.'),
  profile: z
    .enum(['dual-use', 'split'])
    .default('dual-use')
    .describe('split: one certificate signs, another is encrypted to. Default dual-use.'),
  keySize: z
    .union([z.literal(2048), z.literal(3072), z.literal(4096)], {
      error: 'keySize is 2048, 3072 or 4096 (RSA)',
    })
    .default(3072)
    .describe('RSA bits of keys made here: 2048, 3072 or 4096. Default 3072.'),
  validity: days
    .pipe(
      z
        .number()
        .max(
          MAX_VALIDITY_DAYS,
          `Gmail takes at most 27 months, which can be as few as ${MAX_VALIDITY_DAYS}d`,
        ),
    )
    .default(365)
    .describe(`How long certificates are valid, in whole days, at most ${MAX_VALIDITY_DAYS}d. Default 365d.`),
  subject: SUBJECT,
  renewBefore: duration
    .default(30 * DAY_MS)
    .describe('Renewed at the latest this long before the end. Default 30d.'),
  renewSpread: duration
    .optional()
    .describe(
      'Renewals begin up to this much earlier, each at its own time. Default: a third of renewBefore.',
    ),
  renewKey: z
    .enum(['new', 'same'])
    .default('new')
    .describe('Whether a renewal makes a new key. Default new.'),
  keyService: z
    .url({ error: 'keyService is the base address of the key service, as registered in the Admin console' })
    .optional()
    .describe(
      'Base address of the key service, as registered in the Admin console. With keySource: smart-card there is none.',
    ),
  keySource: z
    .enum(['made', 'supplied', 'smart-card'], {
      error:
        'keySource is made (here), supplied (wrapped already, in a folder) or smart-card (never wrapped)',
    })
    .default('made')
    .describe(
      'Where keys come from: made here, supplied by an admin in a folder, wrapped already, or on smart cards. Default made.',
    ),
  aliases: z
    .union([z.boolean().transform((on) => ALIASES[`${on}`]), z.enum(['no', 'next', 'at-once'])], {
      error: 'aliases is no, next (in the next certificate) or at-once (a new one when they change)',
    })
    .default('no')
    .describe('Aliases in certificates: no, next or at-once. Default no.'),
  grace: grace
    .default({
      leave: 24 * HOUR_MS,
      suspended: USUAL_SUSPENSION_MS,
      deleted: 0,
      superseded: 72 * HOUR_MS,
      wrappedKeys: 'keep',
    })
    .describe('How long what somebody has stays good after they leave, or after it is replaced.'),
  onLeave: terms('delete').describe('What happens in Gmail to who leaves scope.'),
  onSuspend: terms('keep').describe(
    'What happens in Gmail when the grace period of a suspended account ends.',
  ),
  onArchive: terms('delete').describe('What happens in Gmail to an archived account.'),
});

const PROTECTED = z.strictObject({
  ...selection,
  superAdmins: z.boolean().default(false).describe('Every super admin. Default false.'),
});

/**
 * Beyond these the guard is off in effect: whole companies have fewer than a thousand users, and whoever notices a mistake
 * within an hour has lost ten thousand of them. What a planned departure needs beyond is an approval, not a wider limit.
 */
const GUARD = z.strictObject({
  minimumPerHour: z
    .number()
    .int()
    .min(0)
    .max(1_000, 'at most 1000: beyond it the guard is off in effect')
    .default(5)
    .describe('Departures an hour that are always let through, at most 1000. Default 5.'),
  sharePercent: z
    .number()
    .min(0)
    .max(50, 'at most 50: beyond it the guard is off in effect')
    .default(5)
    .describe('Percent of covered users that may depart in an hour, at most 50. Default 5.'),
  maximumPerHour: z
    .number()
    .int()
    .min(1)
    .max(10_000, 'at most 10000: beyond it the guard is off in effect')
    .default(200)
    .describe('Departures an hour beyond which everything is held, at most 10000. Default 200.'),
});

export const FILE = z.strictObject({
  version: z.literal(1, { error: 'version is 1' }).describe('Of this format: 1.'),
  rules: z
    .array(RULE)
    .min(1, 'a policy needs at least one rule')
    .describe(
      'Who is covered, and how. Groups go before units, in the order of the file; then the nearest unit.',
    ),
  protected: PROTECTED.default({ orgUnits: [], groups: [], users: [], superAdmins: false }).describe(
    'Accounts whose departures always wait for a human.',
  ),
  guard: GUARD.default({ minimumPerHour: 5, sharePercent: 5, maximumPerHour: 200 }).describe(
    'How many may depart within an hour before an admin is asked.',
  ),
});

export type PolicyFile = z.output<typeof FILE>;
export type RuleEntry = z.output<typeof RULE>;

const TERMS = ['identity', 'keyPair'];

/** The fields known under each key of the file, `''` for its top, for suggestions. */
export const KNOWN_FIELDS: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(FILE.shape),
  rules: Object.keys(RULE.shape),
  exclude: Object.keys(exclude.shape),
  grace: Object.keys(grace.shape),
  subject: Object.keys(SUBJECT.unwrap().shape),
  onLeave: TERMS,
  onSuspend: TERMS,
  onArchive: TERMS,
  protected: Object.keys(PROTECTED.shape),
  guard: Object.keys(GUARD.shape),
};
