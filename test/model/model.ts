/**
 * What Sealwright should come to, told far more simply than it is done: people, their certificates in order of birth, which of
 * them are revoked, and whom each issuer's CRL lists. No Gmail, no ledger, no steps, no crashes. A certificate's serial, and with
 * it when it is renewed, is drawn, so the model is told both once the certificate is there; it is told when CRLs were made, too.
 */
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
const LEAVE_MS = DAY_MS;
const SUSPEND_MS = 30 * DAY_MS;
const OVERLAP_MS = 72 * HOUR_MS;

/** `none`: never covered, no trace. */
export type PersonState = 'none' | 'active' | 'leaving' | 'out';

export interface ModelLeaf {
  readonly name: string;
  readonly service: string;
  /** The issuer that was active when it was issued. */
  readonly isUnderNext: boolean;
  readonly answersWish: boolean;
  dueMs?: number;
  revoked: boolean;
  /** Told, not predicted. */
  serial?: string;
  renewMs?: number;
  endMs?: number;
}

export interface Person {
  state: PersonState;
  presence: 'absent' | 'present' | 'deleted';
  unit: string;
  inGroup: boolean;
  name: string;
  suspended: boolean;
  archived: boolean;
  encryption: boolean;
  leftMs?: number | undefined;
  suspendedMs?: number | undefined;
  wish: boolean;
  readonly leaves: ModelLeaf[];
}

export interface Model {
  readonly startMs: number;
  nowMs: number;
  service: string;
  /** The unit that the policy covers, beside the group. */
  scope: string;
  hasRolled: boolean;
  readonly people: Map<string, Person>;
}

export const newModel = (userIds: readonly string[], nowMs: number, service: string): Model => ({
  startMs: nowMs,
  nowMs,
  service,
  scope: '/Staff',
  hasRolled: false,
  people: new Map(
    userIds.map((userId) => [
      userId,
      {
        state: 'none',
        presence: 'absent',
        unit: '/Staff',
        inGroup: false,
        name: 'a',
        suspended: false,
        archived: false,
        encryption: true,
        wish: false,
        leaves: [],
      },
    ]),
  ),
});

export const personOf = (model: Model, userId: string): Person => {
  const person = model.people.get(userId);
  if (person === undefined) throw new Error(`The model knows nobody called ${userId}.`);
  return person;
};

/** What has ended by itself needs no revocation. */
function revoke(leaf: ModelLeaf, atMs: number): void {
  if (leaf.endMs === undefined || leaf.endMs > atMs) leaf.revoked = true;
}

/** Somebody reports the key as compromised: whatever is live is revoked, whoever they are now, and a new key is wished. */
export function compromise(person: Person, nowMs: number): void {
  for (const leaf of person.leaves) revoke(leaf, nowMs);
  person.wish = true;
}

/** Brings a person to what should hold now. */
export function settle(model: Model, person: Person): void {
  for (const leaf of person.leaves)
    if (leaf.dueMs !== undefined && leaf.dueMs <= model.nowMs) revoke(leaf, leaf.dueMs);
  if (person.presence === 'absent') return;
  if (person.presence === 'deleted') {
    // Whoever comes back and is outside begins a grace period of their own.
    person.leftMs = undefined;
    leave(model, person, model.nowMs, true);
    return;
  }
  const isInScope = person.inGroup || `${person.unit}/`.startsWith(`${model.scope}/`);
  const outside = !isInScope || person.archived;
  const covered = !outside && !person.suspended;
  if (person.state === 'none' && !covered) return;
  person.leftMs = outside ? (person.leftMs ?? model.nowMs) : undefined;
  person.suspendedMs = person.suspended ? (person.suspendedMs ?? model.nowMs) : undefined;
  if (person.leftMs !== undefined) {
    leave(model, person, person.leftMs + LEAVE_MS, person.encryption && !person.suspended);
  } else if (person.suspendedMs !== undefined) {
    leave(model, person, person.suspendedMs + SUSPEND_MS, true);
  } else {
    person.state = 'active';
    if (person.encryption) issue(model, person);
  }
}

/** `gmailAnswers`: where it does not, deleting the identity is parked, and the person is not out before it is done. */
function leave(model: Model, person: Person, dueMs: number, gmailAnswers: boolean): void {
  if (person.state === 'none') return;
  if (person.leaves.length === 0) {
    person.wish = false;
    person.state = 'out';
    return;
  }
  if (model.nowMs < dueMs) {
    person.state = 'leaving';
    return;
  }
  for (const leaf of person.leaves) revoke(leaf, dueMs);
  person.wish = false;
  person.state = gmailAnswers || person.state === 'out' ? 'out' : 'leaving';
}

function issue(model: Model, person: Person): void {
  const fits = (leaf: ModelLeaf) =>
    !person.wish &&
    !leaf.revoked &&
    leaf.dueMs === undefined &&
    (leaf.renewMs === undefined || leaf.renewMs > model.nowMs) &&
    leaf.name === person.name &&
    leaf.service === model.service;
  let current = person.leaves.findLast(fits);
  if (current === undefined) {
    current = {
      ...{ name: person.name, service: model.service, isUnderNext: model.hasRolled },
      ...{ answersWish: person.wish, revoked: false },
    };
    person.leaves.push(current);
  }
  person.wish = false;
  for (const [index, leaf] of person.leaves.entries()) {
    const hasEnded = leaf.endMs !== undefined && leaf.endMs <= model.nowMs;
    if (leaf === current || leaf.revoked || leaf.dueMs !== undefined || hasEnded) continue;
    const older = index < person.leaves.indexOf(current);
    if (leaf.name !== person.name || (current.answersWish && older)) leaf.dueMs = model.nowMs + OVERLAP_MS;
  }
}

/**
 * Whom an issuer's last CRL lists: everybody who is revoked, until one CRL made after their certificate's end has listed them
 * (RFC 5280 §3.3). `madeMs`: when this issuer's CRLs were made, the last one last.
 */
export function predictedCrl(model: Model, isNext: boolean, madeMs: readonly number[]): readonly string[] {
  const earlierMs = madeMs.at(-2) ?? Number.NEGATIVE_INFINITY;
  return [...model.people.values()]
    .flatMap(({ leaves }) => leaves)
    .filter(
      ({ isUnderNext, revoked, endMs }) => isUnderNext === isNext && revoked && (endMs ?? 0) >= earlierMs,
    )
    .map(({ serial }) => serial ?? 'not told')
    .sort();
}
