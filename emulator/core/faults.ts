import { invalidArgument } from './google-error.ts';

/** A disturbance of calls: which ones (`method` with `*` wildcards, `nth` or `probability`) and what happens to them. */
export interface CallFault {
  readonly method: string;
  /** Which matching calls, counted from 1 since the fault was set. */
  readonly nth?: readonly number[];
  /** Chance for each matching call; 1 unless told, when `nth` is absent too. */
  readonly probability?: number;
  readonly status?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly retryAfterSeconds?: number;
  readonly latencyMs?: number;
  /** Answers 200 with this text and does nothing: what a captive portal or a broken server says. */
  readonly body?: string;
  /** Ends the connection before the effect, or after it (the lost reply). */
  readonly cut?: 'before' | 'after';
}

export interface Faults {
  readonly seed: number;
  readonly events: {
    readonly duplicate: number;
    readonly reorder: number;
    readonly drop: number;
    readonly delayMs: number;
  };
  readonly directory: {
    readonly truncatePages: number;
    readonly emptyPages: number;
    /** What becomes of a user now is shown so much later, by the emulator's clock. */
    readonly readsLagMs: number;
  };
  /** Activities that happen now appear in the Reports API's lists so much later, by the emulator's clock. */
  readonly reports: { readonly lagMs: number };
  /** Answers of Cloud KMS that a client must notice: probabilities. */
  readonly cloudKms: {
    /** A signature over another digest. */
    readonly wrongDigest: number;
    /** Another plaintext, with the checksum of that. */
    readonly wrongPlaintext: number;
    /** A checksum that does not fit the bytes answered. */
    readonly wrongCrc32c: number;
    /** The answer does not confirm the checksums it was sent. */
    readonly unverified: number;
    /** The answer names another version. */
    readonly otherVersion: number;
  };
  readonly calls: readonly CallFault[];
  /** Quotas are enforced only when on. */
  readonly quotas: boolean;
}

const NONE: Faults = {
  seed: 1,
  events: { duplicate: 0, reorder: 0, drop: 0, delayMs: 0 },
  directory: { truncatePages: 0, emptyPages: 0, readsLagMs: 0 },
  reports: { lagMs: 0 },
  cloudKms: { wrongDigest: 0, wrongPlaintext: 0, wrongCrc32c: 0, unverified: 0, otherVersion: 0 },
  calls: [],
  quotas: false,
};

/** The faults in force and the seeded chance that draws them: one seed gives one run. */
export class FaultSwitches {
  #faults: Faults = NONE;
  #counts: number[] = [];
  #random = mulberry32(NONE.seed);

  get current(): Faults {
    return this.#faults;
  }

  /** `POST /_emulator/faults`: merges what is given over what is in force; `reset` starts from none. */
  apply(request: Readonly<Record<string, unknown>>): Faults {
    const known = new Set(['reset', 'seed', 'events', 'directory', 'reports', 'cloudKms', 'calls', 'quotas']);
    const unknown = Object.keys(request).find((key) => !known.has(key));
    if (unknown !== undefined)
      throw invalidArgument(`Unknown field "${unknown}"; known are ${[...known].join(', ')}.`);
    const reset = flag(request['reset'], 'reset') ?? false;
    const base = reset ? NONE : this.#faults;
    const next: Faults = {
      seed: request['seed'] === undefined ? base.seed : number(request['seed'], 'seed'),
      events: {
        ...base.events,
        ...numbers(request['events'], 'events', ['duplicate', 'reorder', 'drop'], ['delayMs']),
      },
      directory: {
        ...base.directory,
        ...numbers(request['directory'], 'directory', ['truncatePages', 'emptyPages'], ['readsLagMs']),
      },
      reports: { ...base.reports, ...numbers(request['reports'], 'reports', [], ['lagMs']) },
      cloudKms: {
        ...base.cloudKms,
        ...numbers(request['cloudKms'], 'cloudKms', Object.keys(NONE.cloudKms), []),
      },
      calls: request['calls'] === undefined ? base.calls : callFaults(request['calls']),
      quotas: flag(request['quotas'], 'quotas') ?? base.quotas,
    };
    if (request['calls'] !== undefined || reset) this.#counts = next.calls.map(() => 0);
    if (request['seed'] !== undefined || reset) this.#random = mulberry32(next.seed);
    this.#faults = next;
    return next;
  }

  /** The faults that hit this call, in order. Counts it for `nth`. */
  forCall(method: string): readonly CallFault[] {
    return this.#faults.calls.filter((fault, index) => {
      if (!matches(fault.method, method)) return false;
      const count = (this.#counts[index] ?? 0) + 1;
      this.#counts[index] = count;
      if (fault.nth !== undefined) return fault.nth.includes(count);
      return this.chance(fault.probability ?? 1);
    });
  }

  /** True with this probability, from the seed. */
  chance(probability: number): boolean {
    if (probability <= 0) return false;
    return probability >= 1 || this.#random() < probability;
  }

  /** A number from 0 (inclusive) to 1 (exclusive), from the seed. */
  draw(): number {
    return this.#random();
  }
}

function matches(pattern: string, method: string): boolean {
  if (pattern === '*') return true;
  const expression = pattern.split('*').map((part) => part.replace(/[.\\^$+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${expression.join('.*')}$`, 'i').test(method);
}

function callFaults(value: unknown): readonly CallFault[] {
  if (!Array.isArray(value)) throw invalidArgument('"calls" must be a list of call faults.');
  const known = new Set([
    'method',
    'nth',
    'probability',
    'status',
    'reason',
    'message',
    'retryAfterSeconds',
    'latencyMs',
    'body',
    'cut',
  ]);
  return value.map((entry: unknown, index) => {
    if (entry === null || typeof entry !== 'object')
      throw invalidArgument(`calls[${index}] must be an object.`);
    const fault = entry as Record<string, unknown>;
    const unknown = Object.keys(fault).find((key) => !known.has(key));
    if (unknown !== undefined) throw invalidArgument(`calls[${index}] has the unknown field "${unknown}".`);
    if (typeof fault['method'] !== 'string')
      throw invalidArgument(`calls[${index}].method must name a method or "*".`);
    if (fault['cut'] !== undefined && fault['cut'] !== 'before' && fault['cut'] !== 'after') {
      throw invalidArgument(`calls[${index}].cut must be "before" or "after".`);
    }
    for (const [field, rule] of CALL_FAULT_RULES) {
      if (fault[field] !== undefined && !rule.holds(fault[field]))
        throw invalidArgument(`calls[${index}].${field} must be ${rule.words}.`);
    }
    return fault as unknown as CallFault;
  });
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isText = { words: 'a text', holds: (value: unknown) => typeof value === 'string' };
const isLength = {
  words: 'a number that is not negative',
  holds: (value: unknown) => isNumber(value) && value >= 0,
};

const CALL_FAULT_RULES: readonly (readonly [
  string,
  { readonly words: string; readonly holds: (value: unknown) => boolean },
])[] = [
  [
    'nth',
    {
      words: 'a list of call numbers, counted from 1',
      holds: (value) =>
        Array.isArray(value) &&
        value.every((entry: unknown) => Number.isInteger(entry) && Number(entry) >= 1),
    },
  ],
  [
    'probability',
    { words: 'a number from 0 to 1', holds: (value) => isNumber(value) && value >= 0 && value <= 1 },
  ],
  [
    'status',
    {
      words: 'an HTTP status from 400 to 599',
      holds: (value) => isNumber(value) && Number.isInteger(value) && value >= 400 && value <= 599,
    },
  ],
  ['reason', isText],
  ['message', isText],
  ['body', isText],
  ['retryAfterSeconds', isLength],
  ['latencyMs', isLength],
];

/** Numbers by name: probabilities (0 to 1) and amounts (not negative). */
function numbers(
  value: unknown,
  name: string,
  probabilities: readonly string[],
  amounts: readonly string[],
): Record<string, number> {
  if (value === undefined) return {};
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw invalidArgument(`"${name}" must be an object.`);
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => {
      const known = [...probabilities, ...amounts];
      if (!known.includes(key))
        throw invalidArgument(`${name} has the unknown field "${key}"; known are ${known.join(', ')}.`);
      const given = number(entry, `${name}.${key}`);
      if (probabilities.includes(key) && given > 1)
        throw invalidArgument(`"${name}.${key}" must be a probability, from 0 to 1.`);
      return [key, given];
    }),
  );
}

function flag(value: unknown, name: string): boolean | undefined {
  if (value !== undefined && typeof value !== 'boolean')
    throw invalidArgument(`"${name}" must be true or false.`);
  return value;
}

function number(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    throw invalidArgument(`"${name}" must be a number that is not negative.`);
  }
  return value;
}

/** A small, well-distributed seeded generator (public domain, Tommy Ettinger's mulberry32). */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
