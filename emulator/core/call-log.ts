/** One line of what was called, by whom, with what result. */
export interface CallRecord {
  readonly n: number;
  readonly at: string;
  readonly method: string;
  readonly verb: string;
  readonly path: string;
  readonly caller: string | undefined;
  readonly status: number;
  readonly reason?: string;
  readonly durationMs: number;
  /** The answer was lost on purpose: the effect happened, the client saw a broken connection. */
  readonly cut?: 'before' | 'after';
}

const KEPT = 50_000;

/** The last 50,000 calls, numbered from 1. Never holds a body, a token or a header. */
export class CallLog {
  #next = 1;
  #records: CallRecord[] = [];

  add(record: Omit<CallRecord, 'n'>): void {
    this.#records.push({ n: this.#next, ...record });
    this.#next += 1;
    if (this.#records.length > KEPT * 1.2) this.#records = this.#records.slice(-KEPT);
  }

  since(n: number): readonly CallRecord[] {
    return this.#records.filter((record) => record.n > n);
  }

  get last(): number {
    return this.#next - 1;
  }
}
