/**
 * The policy file: who is covered and how, one YAML document. `docs/policy.md` describes each field for an admin.
 *
 * Every mistake is reported with its line and column, all of them at once, and an unknown field or word with the
 * known one it most resembles. A policy that does not parse changes nothing: it is never activated.
 */
import {
  type Alias,
  type Document,
  isMap,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
  type YAMLParseError,
} from 'yaml';
import type { z } from 'zod';
import type { DepartureRules, DepartureTerms, Policy, PolicyRule, Selection } from '../domain/policy.ts';
import { sentence } from '../domain/sentence.ts';
import { subjectTemplateKind } from '../domain/subject-template.ts';
import { invalidInput } from '../errors.ts';
import { DAY_MS, HOUR_MS } from './duration.ts';
import { nearest } from './nearest.ts';
import { contradictionsOf, missingFields, renewSpreadMs, templateOf } from './policy-contradictions.ts';
import { FILE, KNOWN_FIELDS, type PolicyFile, type RuleEntry } from './policy-schema.ts';
import { fieldOf, sentenceOf, suggestionFor } from './policy-sentences.ts';

export interface PolicyMistake {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Says where in the text a field stands, or what stands nearest above it. */
export type Place = (path: readonly PropertyKey[], key?: string) => { line: number; column: number };

/** A policy as the file has it, without pins, with the places of its fields for whoever finds more mistakes. */
export interface ParsedPolicy {
  readonly policy: Policy;
  readonly place: Place;
}

/** Parses the text of a policy file. Throws `policy-invalid` naming every mistake with its place. */
export const parsePolicy = (text: string, fileName = 'policy.yaml'): Policy =>
  parsePolicyFile(text, fileName).policy;

/** As `parsePolicy`, with the places. */
export function parsePolicyFile(text: string, fileName = 'policy.yaml'): ParsedPolicy {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    throw refuse(
      fileName,
      document.errors.map((error) => ({ ...position(lines, error.pos[0]), message: noYaml(error) })),
    );
  }
  if (!isMap(document.contents)) {
    const what = document.contents === null ? 'the file is empty' : 'this is no policy';
    throw refuse(fileName, [
      { line: 1, column: 1, message: `${what}: a policy is a mapping with "version: 1" and "rules"` },
    ]);
  }
  const empty = aliasesOfNothing(document);
  if (empty.length > 0) {
    throw refuse(
      fileName,
      empty.map(({ source, range }) => ({
        ...position(lines, range?.[0] ?? 0),
        message: `*${source} stands for nothing: no &${source} comes before it`,
      })),
    );
  }
  const read: unknown = document.toJS();
  const parsed = FILE.safeParse(read, { error: sentenceOf });
  const place: Place = (path, key) => position(lines, offsetOf(document.contents, path, key));
  const mistakes = [
    ...(parsed.success ? [] : parsed.error.issues.flatMap((issue) => mistakesOf(issue, read, place))),
    ...[...missingFields(read), ...(parsed.success ? contradictionsOf(parsed.data) : [])].map(
      ({ path, message }) => ({ ...place(path), message }),
    ),
  ];
  if (!parsed.success || mistakes.length > 0) throw refuse(fileName, mistakes);
  return { policy: toPolicy(parsed.data), place };
}

function mistakesOf(issue: z.core.$ZodIssue, read: unknown, place: Place): PolicyMistake[] {
  const where = fieldOf(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const known = KNOWN_FIELDS[where] ?? [];
    return issue.keys.map((key) => {
      const suggestion = nearest(key, known);
      const advice =
        suggestion === undefined ? `known here are ${known.join(', ')}` : `did you mean "${suggestion}"?`;
      return { ...place(issue.path, key), message: `unknown field "${key}"; ${advice}` };
    });
  }
  const value = valueAt(read, issue.path);
  // Absent is absent in a mapping only; no list has holes.
  if (issue.code === 'invalid_type' && value === undefined)
    return [{ ...place(issue.path), message: `"${where}" is missing` }];
  const suggestion = suggestionFor(issue, value);
  const meant = suggestion === undefined ? '' : `; did you mean ${suggestion}?`;
  const named = issue.message.includes(where) ? issue.message : `${where}: ${issue.message}`;
  return [{ ...place(issue.path), message: `${named}${meant}` }];
}

/** The parser's own words, where we have none that say what to do. */
const noYaml = ({ code, message }: YAMLParseError): string => {
  if (code === 'DUPLICATE_KEY') return 'this field stands here twice; leave one of the two out';
  if (code === 'TAB_AS_INDENT') return 'a tab indents this line; YAML wants spaces';
  return `this is no YAML: ${message}`;
};

const aliasesOfNothing = (document: Document): readonly Alias[] => {
  const found: Alias[] = [];
  visit(document, {
    Alias: (_key, alias) => {
      if (alias.resolve(document) === undefined) found.push(alias);
    },
  });
  return found;
};

/** What the file has there. */
const valueAt = (read: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((value, part) => (value as Record<PropertyKey, unknown> | undefined)?.[part], read);

function toPolicy(parsed: PolicyFile): Policy {
  return {
    rules: parsed.rules.map(toRule),
    defaults: DEFAULTS,
    protected: { ...toSelection(parsed.protected), superAdmins: parsed.protected.superAdmins },
    guard: {
      minimumPerHour: parsed.guard.minimumPerHour,
      shareOfCovered: parsed.guard.sharePercent / 100,
      maximumPerHour: parsed.guard.maximumPerHour,
    },
  };
}

function toRule(entry: RuleEntry): PolicyRule {
  const { grace } = entry;
  return {
    name: entry.name,
    scope:
      entry.group === undefined
        ? { kind: 'org-unit', path: entry.orgUnit ?? '/' }
        : { kind: 'group', address: entry.group },
    exclude: toSelection(entry.exclude),
    profile: entry.profile,
    modulusBits: entry.keySize,
    validityDays: entry.validity,
    ...subjectOf(entry),
    renewBeforeMs: entry.renewBefore,
    renewSpreadMs: renewSpreadMs(entry),
    renewKey: entry.renewKey,
    ...(entry.keyService === undefined ? {} : { keyServiceUrl: entry.keyService }),
    ...(entry.keySource === 'made' ? {} : { keySource: entry.keySource }),
    aliases: entry.aliases,
    observeOnly: entry.mode === 'observe',
    grace: {
      leaveMs: grace.leave,
      suspendMs: grace.suspended,
      archiveMs: grace.archived ?? grace.leave,
      deleteMs: grace.deleted,
      supersededMs: grace.superseded === 'never' ? undefined : grace.superseded,
      wrappedKeysMs: grace.wrappedKeys === 'keep' ? undefined : grace.wrappedKeys,
    },
    onLeave: toTerms(entry.onLeave),
    onSuspend: toTerms(entry.onSuspend),
    onArchive: toTerms(entry.onArchive),
  };
}

/** The address alone is what is done without a template. */
function subjectOf({ subject }: RuleEntry): Pick<PolicyRule, 'subject'> {
  const template = templateOf(subject);
  return subjectTemplateKind(template) === 'mailbox' ? {} : { subject: template };
}

const toTerms = ({ identity, keyPair }: RuleEntry['onLeave']): DepartureTerms => ({
  identity,
  keypair: keyPair,
});

const toSelection = ({ orgUnits, groups, users }: RuleEntry['exclude']): Selection => ({
  orgUnits: orgUnits.map((path) => ({ path })),
  groups: groups.map((address) => ({ address })),
  users,
});

/** What the schema's own defaults come to. */
const DEFAULTS: DepartureRules = {
  grace: {
    leaveMs: 24 * HOUR_MS,
    suspendMs: 30 * DAY_MS,
    archiveMs: 24 * HOUR_MS,
    deleteMs: 0,
    supersededMs: 72 * HOUR_MS,
    wrappedKeysMs: undefined,
  },
  onLeave: { identity: 'delete', keypair: 'keep' },
  onSuspend: { identity: 'keep', keypair: 'keep' },
  onArchive: { identity: 'delete', keypair: 'keep' },
};

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

function position(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

function refuse(fileName: string, mistakes: readonly PolicyMistake[]) {
  const list = mistakes.map(({ line, column, message }) => `${fileName}:${line}:${column}: ${message}`);
  return invalidInput('policy-invalid', `The policy was not taken. ${sentence(list.join('; '))}`, {
    details: { mistakes },
  });
}
