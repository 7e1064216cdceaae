import { type OutboundParts, sendOutbound } from '../core/outbound-request.ts';

/** How often and how long a notification is tried, in real time. */
export interface RetryPolicy {
  readonly firstBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly maxTries: number;
  /** No try begins later than this after the first. */
  readonly maxTotalMs: number;
}

export const DEFAULT_RETRY: RetryPolicy = {
  firstBackoffMs: 500,
  maxBackoffMs: 16_000,
  maxTries: 10,
  maxTotalMs: 60_000,
};

const REQUEST_TIMEOUT_MS = 10_000;
const TAKEN = new Set([102, 200, 201, 202, 204]);
const TRY_AGAIN = new Set([500, 502, 503, 504]);

interface Notification {
  readonly what: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
  readonly firstTriedMs: number;
  tries: number;
}

/**
 * What one channel still has to deliver, one request at a time. A receiver that answers 500, 502, 503 or 504, or
 * cannot be reached, is tried again after a growing pause while later notifications go ahead; any other refusal
 * loses the message. https://developers.google.com/workspace/admin/directory/v1/guides/push
 */
export class NotificationQueue {
  readonly #address: string;
  readonly #alive: () => boolean;
  readonly #outbound: OutboundParts;
  readonly #retry: RetryPolicy;
  readonly #waiting: Notification[] = [];
  readonly #backingOff = new Map<NodeJS.Timeout, Notification>();
  readonly #closed = new AbortController();
  #current: Notification | undefined;

  /** `alive`: false once the channel is stopped or has expired; nothing is sent then. */
  constructor(address: string, alive: () => boolean, retry: RetryPolicy, outbound: OutboundParts) {
    this.#address = address;
    this.#alive = alive;
    this.#retry = retry;
    this.#outbound = outbound;
  }

  add(what: string, headers: Readonly<Record<string, string>>, body: Buffer | undefined): void {
    this.#waiting.push({ what, headers, body, firstTriedMs: performance.now(), tries: 0 });
    void this.#run();
  }

  pending(): readonly string[] {
    const current = this.#current === undefined ? [] : [`${this.#current.what}, being delivered`];
    const again = [...this.#backingOff.values()].map(
      (entry) => `${entry.what}, refused ${entry.tries} times`,
    );
    return [...current, ...this.#waiting.map((entry) => entry.what), ...again];
  }

  close(): void {
    this.#closed.abort();
    this.#waiting.length = 0;
    for (const timer of this.#backingOff.keys()) clearTimeout(timer);
    this.#backingOff.clear();
  }

  async #run(): Promise<void> {
    if (this.#current !== undefined) return;
    for (;;) {
      this.#current = this.#waiting.shift();
      const current = this.#current;
      if (current === undefined) return;
      if (!this.#alive()) continue;
      current.tries += 1;
      const status = await this.#post(current);
      if (status === undefined || TRY_AGAIN.has(status)) this.#again(current);
      else if (!TAKEN.has(status)) {
        process.stderr.write(`emulator: ${current.what} is lost, the receiver answered ${status}\n`);
      }
    }
  }

  /** The receiver's status; undefined when it could not be reached. */
  async #post(notification: Notification): Promise<number | undefined> {
    const { headers, body } = notification;
    const outcome = await sendOutbound(
      this.#outbound,
      {
        method: 'POST',
        url: this.#address,
        // A message without a body says so.
        headers: body === undefined ? { ...headers, 'Content-Length': '0' } : headers,
        body,
        oidc: undefined,
        timeoutMs: REQUEST_TIMEOUT_MS,
      },
      this.#closed.signal,
    );
    return outcome.kind === 'answered' ? outcome.status : undefined;
  }

  #again(notification: Notification): void {
    const { firstBackoffMs, maxBackoffMs, maxTries, maxTotalMs } = this.#retry;
    const backoffMs = Math.min(maxBackoffMs, firstBackoffMs * 2 ** (notification.tries - 1));
    const tooLate = performance.now() + backoffMs - notification.firstTriedMs > maxTotalMs;
    if (this.#closed.signal.aborted || !this.#alive()) return;
    if (notification.tries >= maxTries || tooLate) {
      process.stderr.write(`emulator: ${notification.what} is lost after ${notification.tries} tries\n`);
      return;
    }
    const timer = setTimeout(() => {
      this.#backingOff.delete(timer);
      this.#waiting.push(notification);
      void this.#run();
    }, backoffMs);
    this.#backingOff.set(timer, notification);
  }
}
