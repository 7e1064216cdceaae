/**
 * The policy file: who is covered and how, one YAML document. `docs/policy.md` describes each field for an admin.
 *
 * Every mistake is reported with its line and column, all of them at once, and an unknown field with the known one
 * it most resembles. A policy that does not parse changes nothing: the function that read it refuses to start.
 */
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import type { Policy, PolicyRule } from '../domain/policy.ts';
import { invalidInput } from '../errors.ts';
import { DAY_MS, HOUR_MS, parseDuration } from './duration.ts';
import { nearest } from './nearest.ts';

/** Google's 27 months can be as few as 819 days. */
const MAX_VALIDITY_DAYS = 819;

const duration = z.string().transform((text, context) => {
  const milliseconds = parseDuration(text);
  if (milliseconds !== undefined) return milliseconds;
  context.addIssue({
    code: 'custom',
    message: `"${text}" is no length of time; write a number and a unit, such as 30d, 72h, 15m or 0s`,
  });
  return z.NEVER;
});

const days = duration.transform((milliseconds, context) => {
  if (milliseconds % DAY_MS === 0 && milliseconds > 0) return milliseconds / DAY_MS;
  context.addIssue({
    code: 'custom',
    message: 'validity is counted in whole days, at least one, such as 365d',
  });
  return z.NEVER;
});

const grace = z.strictObject({
  /** From leaving scope to revocation. Default 24h. */
  leave: duration.default(24 * HOUR_MS),
  /** From suspension to revocation. Default 30d. */
  suspended: duration.default(30 * DAY_MS),
  /** From re-key to revocation of the replaced leaf. Default 72h. */
  superseded: duration.default(72 * HOUR_MS),
});

const NO_GRACE_SET = { leave: 24 * HOUR_MS, suspended: 30 * DAY_MS, superseded: 72 * HOUR_MS };

const rule = z.strictObject({
  name: z.string().min(1),
  orgUnit: z
    .string()
    .regex(
      /^\/(?:[^/]+(?:\/[^/]+)*)?$/,
      'an org unit is an absolute path without a slash at its end, such as /Staff or /Staff/Legal',
    ),
  keySize: z
    .union([z.literal(2048), z.literal(3072), z.literal(4096)], {
      error: 'keySize is 2048, 3072 or 4096 (RSA)',
    })
    .default(3072),
  validity: days
    .pipe(
      z
        .number()
        .max(
          MAX_VALIDITY_DAYS,
          `Gmail takes at most 27 months, which can be as few as ${MAX_VALIDITY_DAYS}d`,
        ),
    )
    .default(365),
  renewBefore: duration.default(30 * DAY_MS),
  keyService: z.url({
    error: 'keyService is the base address of the key service, as registered in the Admin console',
  }),
  aliases: z.boolean().default(false),
  grace: grace.default(NO_GRACE_SET),
});

const file = z.strictObject({
  version: z.literal(1, { error: 'version is 1' }),
  rules: z.array(rule).min(1, 'a policy needs at least one rule'),
  guard: z
    .strictObject({
      /** Departures an hour that are always let through. Default 5. */
      minimumPerHour: z.number().int().min(0).default(5),
      /** Percent of covered users that may depart in an hour. Default 5. */
      sharePercent: z.number().min(0).max(100).default(5),
      /** Departures an hour beyond which everything is held. Default 200. */
      maximumPerHour: z.number().int().min(1).default(200),
    })
    .default({ minimumPerHour: 5, sharePercent: 5, maximumPerHour: 200 }),
});

type PolicyFile = z.output<typeof file>;

export interface PolicyMistake {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Parses the text of a policy file. Throws `policy-invalid` naming every mistake with its place. */
export function parsePolicy(text: string, fileName = 'policy.yaml'): Policy {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    throw refuse(
      fileName,
      document.errors.map((error) => ({ ...place(lines, error.pos[0]), message: error.message })),
    );
  }
  const parsed = file.safeParse(document.toJS());
  const at = (path: readonly PropertyKey[], key?: string) =>
    place(lines, offsetOf(document.contents, path, key));
  if (!parsed.success) {
    throw refuse(
      fileName,
      parsed.error.issues.flatMap((issue) => mistakesOf(issue, at)),
    );
  }
  const contradictions = contradictionsOf(parsed.data, at);
  if (contradictions.length > 0) throw refuse(fileName, contradictions);
  return toPolicy(parsed.data);
}

type Place = (path: readonly PropertyKey[], key?: string) => { line: number; column: number };

const KNOWN_FIELDS: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(file.shape),
  rules: Object.keys(rule.shape),
  grace: Object.keys(grace.shape),
  guard: ['minimumPerHour', 'sharePercent', 'maximumPerHour'],
};

function mistakesOf(issue: z.core.$ZodIssue, at: Place): PolicyMistake[] {
  const where = issue.path.filter((part) => typeof part === 'string').at(-1) ?? '';
  if (issue.code === 'unrecognized_keys') {
    const known = KNOWN_FIELDS[String(where)] ?? [];
    return issue.keys.map((key) => {
      const suggestion = nearest(key, known);
      const advice =
        suggestion === undefined ? `known here are ${known.join(', ')}` : `did you mean "${suggestion}"?`;
      return { ...at(issue.path, key), message: `unknown field "${key}"; ${advice}` };
    });
  }
  const missing = issue.code === 'invalid_type' && issue.message.includes('received undefined');
  const message = missing ? `"${String(where)}" is missing` : `${String(where)}: ${issue.message}`;
  return [{ ...at(issue.path), message }];
}

function contradictionsOf(policy: PolicyFile, at: Place): PolicyMistake[] {
  const mistakes: PolicyMistake[] = [];
  policy.rules.forEach((entry, index) => {
    const earlier = policy.rules.slice(0, index);
    if (earlier.some((other) => other.name === entry.name)) {
      mistakes.push({ ...at(['rules', index, 'name']), message: `two rules are called "${entry.name}"` });
    }
    if (earlier.some((other) => other.orgUnit.toLowerCase() === entry.orgUnit.toLowerCase())) {
      mistakes.push({ ...at(['rules', index, 'orgUnit']), message: `two rules cover ${entry.orgUnit}` });
    }
    if ((entry.renewBefore * 4) / 3 >= entry.validity * DAY_MS) {
      mistakes.push({
        ...at(['rules', index, 'renewBefore']),
        message:
          'renewBefore must be less than three quarters of validity: renewals begin up to a third earlier, and a certificate must not be due at birth',
      });
    }
  });
  return mistakes;
}

function toPolicy(parsed: PolicyFile): Policy {
  return {
    rules: parsed.rules.map(
      (entry): PolicyRule => ({
        name: entry.name,
        orgUnit: entry.orgUnit,
        modulusBits: entry.keySize,
        validityDays: entry.validity,
        renewBeforeMs: entry.renewBefore,
        keyServiceUrl: entry.keyService,
        includeAliases: entry.aliases,
        grace: toGrace(entry.grace),
      }),
    ),
    defaults: { grace: toGrace(NO_GRACE_SET) },
    guard: {
      minimumPerHour: parsed.guard.minimumPerHour,
      shareOfCovered: parsed.guard.sharePercent / 100,
      maximumPerHour: parsed.guard.maximumPerHour,
    },
  };
}

const toGrace = (value: typeof NO_GRACE_SET): PolicyRule['grace'] => ({
  leaveMs: value.leave,
  suspendMs: value.suspended,
  supersededMs: value.superseded,
});

function offsetOf(contents: unknown, path: readonly PropertyKey[], key?: string): number {
  let node = contents;
  let offset = 0;
  for (const part of key === undefined ? path : [...path, key]) {
    const next = childOf(node, part);
    if (next === undefined) break;
    node = next.value;
    offset = next.offset;
  }
  return offset;
}

function childOf(node: unknown, part: PropertyKey): { value: unknown; offset: number } | undefined {
  if (isMap(node)) {
    const pair = node.items.find((item) => isScalar(item.key) && item.key.value === part);
    if (pair === undefined || !isScalar(pair.key)) return undefined;
    return { value: pair.value, offset: pair.key.range?.[0] ?? 0 };
  }
  const items = (node as { items?: unknown[] } | undefined)?.items;
  const value = typeof part === 'number' ? items?.[part] : undefined;
  const range = (value as { range?: [number, number, number] } | undefined)?.range;
  return value === undefined ? undefined : { value, offset: range?.[0] ?? 0 };
}

function place(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

function refuse(fileName: string, mistakes: readonly PolicyMistake[]) {
  const list = mistakes.map(({ line, column, message }) => `${fileName}:${line}:${column}: ${message}`);
  return invalidInput('policy-invalid', `The policy was not taken. ${list.join('; ')}.`, {
    details: { mistakes },
  });
}
