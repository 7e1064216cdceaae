/** Delivers what push subscriptions hold: within a window, with an ID token, again after a back-off. */
import type { EmulatorContext } from '../core/context.ts';
import { type OutboundOutcome, type OutboundParts, sendOutbound } from '../core/outbound-request.ts';
import type { Broker } from './broker.ts';
import { type Entry, isPush, type SubscriptionRecord } from './resources.ts';

/** Any other answer, and none at all, is a refusal. https://docs.cloud.google.com/pubsub/docs/push */
const ACKNOWLEDGING = new Set([102, 200, 201, 202, 204]);
/** Node's timers hold 24 days; longer waits are looked at again. */
const LONGEST_SLEEP_MS = 3_600_000;

export interface PushEngineSettings {
  readonly outbound: OutboundParts;
  /** Requests under way for one subscription at the same time. */
  readonly window: number;
}

export class PushEngine {
  readonly #context: EmulatorContext;
  readonly #broker: Broker;
  readonly #settings: PushEngineSettings;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(context: EmulatorContext, broker: Broker, settings: PushEngineSettings) {
    this.#context = context;
    this.#broker = broker;
    this.#settings = settings;
    broker.onWork((subscription) => this.pump(subscription));
  }

  /** Sends what is due and the window allows, and sets the alarm for what is not due yet. */
  pump(name: string): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
    const record = this.#broker.record(name);
    if (this.#stopping.signal.aborted || record === undefined || !isPush(record.subscription)) return;
    const nowMs = this.#context.clock.nowMs();
    const free = this.#settings.window - this.#broker.outstanding(record).size;
    for (const entry of this.#broker.take(record, Math.max(0, free), nowMs))
      this.#track(this.#deliver(record, entry));
    const next = this.#broker.nextDueMs(record, nowMs);
    if (next === undefined) return;
    const waitMs = Math.min(next - nowMs, LONGEST_SLEEP_MS);
    this.#timers.set(name, setTimeout(() => this.pump(name), Math.ceil(waitMs)).unref());
  }

  /** Breaks off what is under way; those messages stay undelivered and go out again after a restart. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    await Promise.all(this.#underWay);
  }

  async #deliver(record: SubscriptionRecord, entry: Entry): Promise<void> {
    const { subscription } = record;
    const { pushEndpoint = '', oidcToken } = subscription.pushConfig;
    const outcome = await sendOutbound(
      this.#settings.outbound,
      {
        method: 'POST',
        url: pushEndpoint,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          from: 'noreply@google.com',
          'user-agent': 'CloudPubSub-Google',
        },
        body: Buffer.from(JSON.stringify(pushBody(record, entry))),
        oidc: oidcToken,
        timeoutMs: subscription.ackDeadlineSeconds * 1000,
      },
      this.#stopping.signal,
    );
    if (acknowledges(outcome)) this.#broker.acknowledge(record, entry);
    else if (this.#stopping.signal.aborted) this.#broker.release(record, entry);
    else this.#broker.refuse(record, entry);
  }

  #track(delivery: Promise<void>): void {
    const tracked = delivery.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }
}

const acknowledges = (outcome: OutboundOutcome): boolean =>
  outcome.kind === 'answered' && ACKNOWLEDGING.has(outcome.status);

/** The wrapped form, with the snake-case names beside the others as Google sends them. */
function pushBody(record: SubscriptionRecord, entry: Entry): unknown {
  const { message, refusals } = entry;
  return {
    message: {
      ...(message.data === '' ? {} : { data: message.data }),
      ...(Object.keys(message.attributes).length === 0 ? {} : { attributes: message.attributes }),
      messageId: message.messageId,
      message_id: message.messageId,
      ...(message.orderingKey === '' ? {} : { orderingKey: message.orderingKey }),
      publishTime: message.publishTime,
      publish_time: message.publishTime,
    },
    subscription: record.subscription.name,
    ...(record.subscription.deadLetterPolicy === undefined ? {} : { deliveryAttempt: refusals + 1 }),
  };
}
