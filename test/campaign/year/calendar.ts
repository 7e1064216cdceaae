/**
 * What happens in a company in a year, day by day, drawn from a seed. Pure: the same seed gives the same year. What it
 * means for everybody's certificates is `model.ts`' business, and how it is done to the emulator is `hands.ts`'.
 */
import { chance } from '../../stories/chance.ts';

export type Act =
  | { readonly kind: 'hire'; readonly person: string; readonly unit: Unit }
  | { readonly kind: 'delete'; readonly person: string }
  | { readonly kind: 'move-out'; readonly person: string }
  | { readonly kind: 'move-back'; readonly person: string }
  | { readonly kind: 'suspend'; readonly person: string }
  | { readonly kind: 'restore'; readonly person: string }
  | { readonly kind: 'rename'; readonly person: string; readonly to: string }
  | { readonly kind: 'rekey'; readonly person: string; readonly reason: 'superseded' | 'keyCompromise' }
  | { readonly kind: 'move-unit-out' }
  | { readonly kind: 'approve-held' }
  | { readonly kind: 'roll-issuer' }
  | { readonly kind: 'root-crl' }
  | { readonly kind: 'change-key-service'; readonly validityDays: number }
  | { readonly kind: 'mail'; readonly from: string; readonly to: string };

export const UNITS = ['/Staff', '/Staff/Engineering', '/Staff/Sales'] as const;
export type Unit = (typeof UNITS)[number];
/** The unit that is moved out of the company's scope with everybody in it. */
export const MOVED_UNIT: Unit = '/Staff/Sales';

export interface YearPlan {
  readonly seed: number;
  readonly people: number;
  readonly days: number;
}

export interface Calendar extends YearPlan {
  /** What happens on the morning of each day, from day 0. */
  readonly acts: readonly (readonly Act[])[];
}

/** Where in the year, as a share of its days, the things happen that happen once. */
const ONCE = { rollIssuer: 0.05, moveUnit: 0.4 } as const;
/** A certificate of the sample policy is good for 365 days and renewed at the latest 30 days before its end. */
const RENEWED_AFTER_DAYS = 336;
/** The root's CRL is good for six months; `ca health` asks for a new one sixty days before. */
const ROOT_CRL_EVERY_DAYS = 110;
/** Of everybody, so many in the time that is played; in 400 days about what a company of two hundred sees. */
const SHARE = {
  hire: 0.25,
  delete: 0.12,
  'move-out': 0.06,
  suspend: 0.12,
  rename: 0.1,
  rekey: 0.08,
} as const;
/** A suspension or an absence longer than this has taken the certificate away. */
const ABSENCE_DAYS = [5, 12, 20, 45, 60] as const;

interface Person {
  readonly name: string;
  readonly unit: Unit;
  /** Nothing happens to somebody twice within this many days, so that each thing has come to its end. */
  busyUntil: number;
  gone: boolean;
}

export function calendarOf(plan: YearPlan): Calendar {
  const { days } = plan;
  const random = chance(plan.seed);
  const acts: Act[][] = Array.from({ length: days }, () => []);
  const on = (day: number, act: Act) => acts[Math.min(day, days - 1)]?.push(act);
  const staff: Person[] = [];
  const hire = (day: number, unit: Unit) => {
    const name = `p${String(staff.length + 1).padStart(3, '0')}`;
    staff.push({ name, unit, busyUntil: day + 4, gone: false });
    on(day, { kind: 'hire', person: name, unit });
  };
  const inMovedUnit = Math.max(10, plan.people * 0.15);
  for (let index = 0; index < plan.people; index += 1)
    hire(0, index < inMovedUnit ? MOVED_UNIT : index % 2 === 0 ? '/Staff' : '/Staff/Engineering');

  const moveUnitOn = Math.floor(days * ONCE.moveUnit);
  // Whoever joined at first is renewed under the old one before, or else the new policy has them renewed often.
  const changeKeyServiceOn = Math.floor(days * (days > RENEWED_AFTER_DAYS ? 0.9 : 0.25));
  const validityDays = days > RENEWED_AFTER_DAYS ? 365 : Math.ceil(days / 2);
  on(Math.max(1, Math.floor(days * ONCE.rollIssuer)), { kind: 'roll-issuer' });
  on(moveUnitOn, { kind: 'move-unit-out' });
  on(moveUnitOn + 4, { kind: 'approve-held' });
  on(changeKeyServiceOn, { kind: 'change-key-service', validityDays });
  for (let day = ROOT_CRL_EVERY_DAYS; day < days; day += ROOT_CRL_EVERY_DAYS) on(day, { kind: 'root-crl' });
  const [first, second] = [staff.slice(0, 6), staff.slice(-6)];
  for (const [index, { name: from }] of first.entries())
    on(3, { kind: 'mail', from, to: second[index]?.name ?? from });

  /** Somebody to whom something can happen on this day that takes so many days to come to its end. */
  const somebody = (day: number, forDays: number): Person | undefined => {
    const free = staff.filter(
      (person) =>
        !person.gone &&
        person.busyUntil <= day &&
        // Who is in the unit that moves stays as they are from a little before it on.
        (person.unit !== MOVED_UNIT || day + forDays < moveUnitOn),
    );
    const person = free[Math.floor(random() * free.length)];
    if (person !== undefined) person.busyUntil = day + forDays;
    return person;
  };
  const perDay = (kind: keyof typeof SHARE) => (SHARE[kind] * plan.people) / days;
  const SETTLING_DAYS = 5;
  for (let day = 4; day < days - SETTLING_DAYS; day += 1) {
    const happens = (kind: keyof typeof SHARE) => random() < perDay(kind);
    if (happens('hire')) hire(day, random() < 0.5 ? '/Staff' : '/Staff/Engineering');
    if (happens('delete')) {
      const person = somebody(day, days);
      if (person !== undefined) {
        person.gone = true;
        on(day, { kind: 'delete', person: person.name });
      }
    }
    for (const [away, back, kind] of [
      ['move-out', 'move-back', 'move-out'],
      ['suspend', 'restore', 'suspend'],
    ] as const) {
      if (!happens(kind)) continue;
      const absence = ABSENCE_DAYS[Math.floor(random() * ABSENCE_DAYS.length)] ?? 5;
      const person = somebody(day, absence + SETTLING_DAYS);
      if (person === undefined) continue;
      on(day, { kind: away, person: person.name });
      if (day + absence < days - SETTLING_DAYS) on(day + absence, { kind: back, person: person.name });
    }
    if (happens('rename')) {
      const person = somebody(day, SETTLING_DAYS);
      if (person !== undefined)
        on(day, { kind: 'rename', person: person.name, to: `${person.name}-d${day}` });
    }
    if (happens('rekey')) {
      const person = somebody(day, SETTLING_DAYS);
      const reason = random() < 0.5 ? 'superseded' : 'keyCompromise';
      if (person !== undefined) on(day, { kind: 'rekey', person: person.name, reason });
    }
  }
  return { ...plan, acts };
}
