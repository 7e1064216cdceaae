/**
 * What a person who has read docs/lifecycle.md expects at the end of a year, without knowing how any of it is done: for
 * everybody where they stand, and why certificates were revoked.
 */
import { type Calendar, MOVED_UNIT, type Unit } from './calendar.ts';

/** As RFC 5280 spells reasons. */
export type Reason =
  | 'affiliationChanged'
  | 'privilegeWithdrawn'
  | 'cessationOfOperation'
  | 'superseded'
  | 'keyCompromise';

export interface Expected {
  readonly person: string;
  /** Local part of the address they have now. */
  readonly address: string;
  /** `served`: ready, one identity on an unrevoked certificate. `waiting`: on the way out, nothing taken away yet. */
  readonly standing: 'served' | 'waiting' | 'out';
  /** Never suspended, moved away or deleted: nothing kept their certificates from being renewed in time. */
  readonly undisturbed: boolean;
  /** Each time a certificate in use was to be revoked: from this day on (the day's number), for this reason. */
  readonly revocations: readonly { readonly day: number; readonly reason: Reason }[];
}

/** Defaults of the policy, in days. */
const GRACE_DAYS = { leave: 1, suspended: 30, superseded: 3 } as const;

interface Life {
  address: string;
  readonly unit: Unit;
  away: { readonly since: number; readonly graceDays: number; readonly reason: Reason } | undefined;
  deleted: boolean;
  undisturbed: boolean;
  readonly revocations: { day: number; reason: Reason }[];
}

export function expectedAtTheEnd(calendar: Calendar): readonly Expected[] {
  const lives = new Map<string, Life>();
  const life = (person: string): Life => {
    const found = lives.get(person);
    if (found === undefined) throw new Error(`The calendar has ${person} before they were hired.`);
    return found;
  };
  const come = (one: Life, day: number) => {
    if (one.away !== undefined) settle(one, one.away, day);
    one.away = undefined;
  };
  for (const [day, acts] of calendar.acts.entries()) {
    for (const act of acts) {
      switch (act.kind) {
        case 'hire':
          lives.set(act.person, {
            address: act.person,
            unit: act.unit,
            away: undefined,
            deleted: false,
            undisturbed: true,
            revocations: [],
          });
          break;
        case 'delete':
          life(act.person).deleted = true;
          life(act.person).undisturbed = false;
          life(act.person).revocations.push({ day, reason: 'cessationOfOperation' });
          break;
        case 'move-out':
          life(act.person).away = { since: day, graceDays: GRACE_DAYS.leave, reason: 'affiliationChanged' };
          life(act.person).undisturbed = false;
          break;
        case 'suspend':
          life(act.person).away = {
            since: day,
            graceDays: GRACE_DAYS.suspended,
            reason: 'privilegeWithdrawn',
          };
          life(act.person).undisturbed = false;
          break;
        case 'move-back':
        case 'restore':
          come(life(act.person), day);
          break;
        case 'rename':
          life(act.person).address = act.to;
          life(act.person).revocations.push({ day: day + GRACE_DAYS.superseded, reason: 'superseded' });
          break;
        case 'rekey':
          life(act.person).revocations.push({
            day: day + (act.reason === 'keyCompromise' ? 0 : GRACE_DAYS.superseded),
            reason: act.reason,
          });
          break;
        case 'move-unit-out':
          for (const one of lives.values()) {
            if (one.unit !== MOVED_UNIT || one.deleted) continue;
            // A sweep notices, a day's grace follows; past the guard's limit an admin is waited for.
            one.away = { since: day, graceDays: GRACE_DAYS.leave, reason: 'affiliationChanged' };
            one.undisturbed = false;
          }
          break;
        case 'approve-held':
        case 'roll-issuer':
        case 'root-crl':
        case 'change-key-service':
        case 'mail':
          break;
        default:
          act satisfies never;
      }
    }
  }
  return [...lives].map(([person, one]) => {
    const end = calendar.days;
    const isOut = one.away !== undefined && settle(one, one.away, end);
    const standing = one.deleted || isOut ? 'out' : one.away !== undefined ? 'waiting' : 'served';
    const { address, undisturbed, revocations } = one;
    return { person, address, standing, undisturbed, revocations };
  });
}

/** Whether the time of grace was over by then; if so what was in use is revoked. */
function settle(one: Life, away: NonNullable<Life['away']>, day: number): boolean {
  const due = away.since + away.graceDays;
  if (due >= day) return false;
  one.revocations.push({ day: due, reason: away.reason });
  return true;
}
