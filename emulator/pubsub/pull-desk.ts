/**
 * Pull subscriptions: entries are lent out under an *ack id* until the ack deadline, by the emulator's clock. What is
 * not acknowledged in time counts as refused. Leases are not kept over a restart; the messages are.
 */
import { randomBytes } from 'node:crypto';
import type { EmulatorContext } from '../core/context.ts';
import { invalidArgument } from '../core/google-error.ts';
import type { Broker } from './broker.ts';
import { type Entry, isPush, type StoredMessage, type SubscriptionRecord } from './resources.ts';

interface Lease {
  readonly record: SubscriptionRecord;
  readonly entry: Entry;
  deadlineMs: number;
}

export interface ReceivedMessage {
  readonly ackId: string;
  readonly message: StoredMessage;
  /** Absent without a dead-letter policy. */
  readonly deliveryAttempt?: number;
}

const ACK_ID = /^ack-[A-Za-z0-9_-]{32}$/;
const LONGEST_SLEEP_MS = 3_600_000;

export class PullDesk {
  readonly #context: EmulatorContext;
  readonly #broker: Broker;
  readonly #waitMs: number;
  readonly #leases = new Map<string, Lease>();
  readonly #waiting = new Map<string, Set<() => void>>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** `waitMs`: how long a pull without `returnImmediately` waits for a first message, in real time. */
  constructor(context: EmulatorContext, broker: Broker, waitMs: number) {
    this.#context = context;
    this.#broker = broker;
    this.#waitMs = waitMs;
    context.clock.onMove(() => this.#collect());
    broker.onWork((subscription) => this.#wake(subscription));
  }

  /** Up to `limit` messages; waits for the first one unless told to return at once. */
  async pull(
    record: SubscriptionRecord,
    limit: number,
    returnImmediately: boolean,
    signal: AbortSignal,
  ): Promise<readonly ReceivedMessage[]> {
    const endMs = performance.now() + (returnImmediately ? 0 : this.#waitMs);
    for (;;) {
      const nowMs = this.#context.clock.nowMs();
      const entries = isPush(record.subscription) ? [] : this.#broker.take(record, limit, nowMs);
      const leftMs = endMs - performance.now();
      if (entries.length > 0 || leftMs <= 0 || signal.aborted || this.#stopped)
        return entries.map((entry) => this.#lend(record, entry));
      await this.#changed(record, nowMs, leftMs, signal);
    }
  }

  /** Ends the leases; an id whose lease has ended already is passed over. Throws 400 for what is no ack id. */
  acknowledge(ackIds: readonly string[]): void {
    for (const lease of this.#close(ackIds)) this.#broker.acknowledge(lease.record, lease.entry);
  }

  /** 0 seconds refuses the messages; otherwise the leases end that long from now. */
  modifyDeadline(ackIds: readonly string[], seconds: number): void {
    if (seconds === 0) {
      for (const lease of this.#close(ackIds)) this.#broker.refuse(lease.record, lease.entry);
      return;
    }
    checkAckIds(ackIds);
    for (const ackId of ackIds) {
      const lease = this.#leases.get(ackId);
      if (lease !== undefined) lease.deadlineMs = this.#context.clock.nowMs() + seconds * 1000;
    }
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const name of this.#waiting.keys()) this.#wake(name);
  }

  #lend(record: SubscriptionRecord, entry: Entry): ReceivedMessage {
    const ackId = `ack-${randomBytes(24).toString('base64url')}`;
    const deadlineMs = this.#context.clock.nowMs() + record.subscription.ackDeadlineSeconds * 1000;
    this.#leases.set(ackId, { record, entry, deadlineMs });
    this.#schedule();
    return {
      ackId,
      message: entry.message,
      ...(record.subscription.deadLetterPolicy === undefined ? {} : { deliveryAttempt: entry.refusals + 1 }),
    };
  }

  #close(ackIds: readonly string[]): readonly Lease[] {
    checkAckIds(ackIds);
    this.#collect();
    return ackIds.flatMap((ackId) => {
      const lease = this.#leases.get(ackId);
      this.#leases.delete(ackId);
      return lease === undefined ? [] : [lease];
    });
  }

  /** Takes back what was not acknowledged in time. */
  #collect(): void {
    const nowMs = this.#context.clock.nowMs();
    const ended = [...this.#leases].filter(([, lease]) => lease.deadlineMs <= nowMs);
    for (const [ackId] of ended) this.#leases.delete(ackId);
    for (const [, { record, entry, deadlineMs }] of ended) this.#broker.refuse(record, entry, deadlineMs);
    this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#stopped || this.#leases.size === 0) return;
    const firstMs = Math.min(...[...this.#leases.values()].map((lease) => lease.deadlineMs));
    const waitMs = Math.min(Math.max(0, firstMs - this.#context.clock.nowMs()), LONGEST_SLEEP_MS);
    this.#timer = setTimeout(() => this.#collect(), Math.ceil(waitMs)).unref();
  }

  /** Resolves when the subscription may have something that it had not at `nowMs`, or the time is up. */
  #changed(record: SubscriptionRecord, nowMs: number, leftMs: number, signal: AbortSignal): Promise<void> {
    const { name } = record.subscription;
    const next = this.#broker.nextDueMs(record, nowMs);
    const dueInMs = next === undefined ? leftMs : next - nowMs;
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.get(name)?.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, Math.ceil(Math.min(leftMs, dueInMs)));
      signal.addEventListener('abort', done);
      const waiting = this.#waiting.get(name) ?? new Set();
      waiting.add(done);
      this.#waiting.set(name, waiting);
    });
  }

  #wake(name: string): void {
    for (const done of [...(this.#waiting.get(name) ?? [])]) done();
  }
}

function checkAckIds(ackIds: readonly string[]): void {
  if (ackIds.length === 0) throw invalidArgument('No ack ids specified.');
  const wrong = ackIds.find((ackId) => !ACK_ID.test(ackId));
  if (wrong !== undefined)
    throw invalidArgument(`You have passed an invalid ack ID to the service (ack_id=${wrong}).`);
}
