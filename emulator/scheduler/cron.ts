/**
 * Five-field unix-cron in UTC, as Cloud Scheduler reads it: minute, hour, day of month, month, day of week; `*`,
 * numbers, names, ranges, lists and steps. When both day fields are restricted, either may match.
 * https://docs.cloud.google.com/scheduler/docs/configuring/cron-job-schedules
 */
export interface CronSchedule {
  /** The first matching minute after the instant, both in milliseconds since 1970. */
  nextAfter(instantMs: number): number;
}

interface FieldRule {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}

const MINUTE: FieldRule = { name: 'minute', min: 0, max: 59 };
const HOUR: FieldRule = { name: 'hour', min: 0, max: 23 };
const DAY: FieldRule = { name: 'day of month', min: 1, max: 31 };
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const MONTH: FieldRule = { name: 'month', min: 1, max: 12, names: ['', ...MONTHS] };
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const WEEKDAY: FieldRule = { name: 'day of week', min: 0, max: 7, names: WEEKDAYS };

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** 29 February can be eight years away (1896 to 1904, 2096 to 2104). */
const HORIZON_YEARS = 9;

/** Throws a RangeError naming the field that is wrong, or saying that no date ever matches. */
export function parseCron(text: string): CronSchedule {
  const fields = text.trim().split(/\s+/);
  const [minute, hour, day, month, weekday] = fields;
  if (
    fields.length !== 5 ||
    minute === undefined ||
    hour === undefined ||
    day === undefined ||
    month === undefined ||
    weekday === undefined
  ) {
    throw new RangeError(`The schedule "${text}" has ${fields.length} fields; unix-cron has five.`);
  }
  const minutes = values(minute, MINUTE);
  const hours = values(hour, HOUR);
  const days = values(day, DAY);
  const months = values(month, MONTH);
  const weekdays = new Set([...values(weekday, WEEKDAY)].map((value) => value % 7));
  const eitherDay = !day.startsWith('*') && !weekday.startsWith('*');

  const dayMatches = (date: Date): boolean => {
    const byDay = days.has(date.getUTCDate());
    const byWeekday = weekdays.has(date.getUTCDay());
    return eitherDay ? byDay || byWeekday : byDay && byWeekday;
  };

  const nextAfter = (instantMs: number): number => {
    let atMs = (Math.floor(instantMs / MINUTE_MS) + 1) * MINUTE_MS;
    const horizon = new Date(instantMs).getUTCFullYear() + HORIZON_YEARS;
    for (;;) {
      const date = new Date(atMs);
      if (date.getUTCFullYear() > horizon) throw new RangeError(`The schedule "${text}" never comes due.`);
      if (!months.has(date.getUTCMonth() + 1)) {
        atMs = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
      } else if (!dayMatches(date)) {
        atMs = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() + 1);
      } else if (!hours.has(date.getUTCHours())) atMs = (Math.floor(atMs / HOUR_MS) + 1) * HOUR_MS;
      else if (!minutes.has(date.getUTCMinutes())) atMs += MINUTE_MS;
      else return atMs;
    }
  };
  // A schedule for 30 February is refused where it is written, not where it is first waited for.
  nextAfter(Date.UTC(2000, 0, 1));
  return { nextAfter };
}

function values(text: string, rule: FieldRule): ReadonlySet<number> {
  const found = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(?:(\*)|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:\/(\d+))?$/i.exec(part);
    if (match === null) throw wrong(text, rule);
    const [, star, from = '', to, step] = match;
    const first = star === undefined ? number(from, text, rule) : rule.min;
    const last =
      star !== undefined || (to === undefined && step !== undefined)
        ? rule.max
        : number(to ?? from, text, rule);
    const by = step === undefined ? 1 : Number(step);
    if (by < 1 || last < first) throw wrong(text, rule);
    for (let value = first; value <= last; value += by) found.add(value);
  }
  return found;
}

function number(text: string, field: string, rule: FieldRule): number {
  const named = rule.names?.indexOf(text.toLowerCase()) ?? -1;
  const value = named >= 0 ? named : /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= rule.min && value <= rule.max)) throw wrong(field, rule);
  return value;
}

const wrong = (field: string, rule: FieldRule): RangeError =>
  new RangeError(
    `"${field}" is no ${rule.name}; it takes ${rule.min} to ${rule.max}, ranges, lists and steps.`,
  );
