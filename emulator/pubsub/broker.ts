/**
 * The heart of the room: topics, subscriptions and their backlogs, and what happens to an entry that was delivered.
 * Who delivers (push engine, pull calls) takes entries out with `take` and says how it went with `acknowledge`,
 * `refuse` or `release`.
 */
import type { EmulatorContext } from '../core/context.ts';
import type { PubsubAccess } from './access.ts';
import { backoffMs, dueEntries, type Horizon, hasExpired, horizonOf, nextDueMs, stretch } from './backlog.ts';
import { storedDurationMs } from './duration.ts';
import { type Filter, parseFilter } from './filter.ts';
import type { NewMessage } from './message-rules.ts';
import { noSuchResource, resourceExists } from './names.ts';
import {
  DELETED_TOPIC,
  type Entry,
  isPush,
  type PubsubState,
  projectOf,
  type StoredMessage,
  type Subscription,
  type SubscriptionRecord,
  shortName,
  type Topic,
} from './resources.ts';

export interface BrokerSettings {
  readonly access: PubsubAccess;
  /** IAM member of Pub/Sub's own agent in the project; it needs rights to forward dead letters. */
  readonly serviceAgent: string;
  /** Wait before a retry without a retry policy, in milliseconds. */
  readonly retryFloorMs: number;
}

/** How long the reorder fault holds a message back, at most, so that later ones overtake it. */
const REORDER_WINDOW_MS = 400;

export class Broker {
  readonly #context: EmulatorContext;
  readonly #settings: BrokerSettings;
  readonly #state: PubsubState;
  readonly #outstanding = new Map<string, Set<Entry>>();
  readonly #horizons = new WeakMap<SubscriptionRecord, Horizon>();
  readonly #filters = new Map<string, Filter>();
  readonly #listeners: ((subscription: string) => void)[] = [];

  constructor(context: EmulatorContext, settings: BrokerSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#state = context.state.section<PubsubState>('pubsub', () => ({
      sequence: 1,
      topics: {},
      subscriptions: {},
      delivered: 0,
      deadLettered: 0,
    }));
    context.clock.onMove(() => this.resume());
  }

  /** Called with a subscription's name whenever something there may have come due. */
  onWork(listener: (subscription: string) => void): void {
    this.#listeners.push(listener);
  }

  /** After a restart or a jump of the clock: tells the listeners about every subscription once. */
  resume(): void {
    for (const name of Object.keys(this.#state.subscriptions)) this.#announce(name);
  }

  counters(): { readonly delivered: number; readonly deadLettered: number } {
    return { delivered: this.#state.delivered, deadLettered: this.#state.deadLettered };
  }

  // Topics

  topic(name: string): Topic | undefined {
    return Object.hasOwn(this.#state.topics, name) ? this.#state.topics[name] : undefined;
  }

  topics(project: string): readonly Topic[] {
    return Object.values(this.#state.topics).filter((topic) => projectOf(topic.name) === project);
  }

  /** Throws 409 when the name is taken. */
  createTopic(topic: Topic): Topic {
    if (this.topic(topic.name) !== undefined) throw resourceExists(topic.name);
    return this.replaceTopic(topic);
  }

  replaceTopic(topic: Topic): Topic {
    this.#state.topics[topic.name] = topic;
    this.#context.state.changed();
    return topic;
  }

  /** Its subscriptions stay, keep their backlog and name `_deleted-topic_` from now on. */
  deleteTopic(name: string): void {
    if (this.topic(name) === undefined) throw noSuchResource(name);
    delete this.#state.topics[name];
    for (const record of this.#records()) {
      if (record.subscription.topic === name)
        record.subscription = { ...record.subscription, topic: DELETED_TOPIC };
    }
    this.#context.state.changed();
  }

  // Subscriptions

  record(name: string): SubscriptionRecord | undefined {
    this.#expireIdle();
    return Object.hasOwn(this.#state.subscriptions, name) ? this.#state.subscriptions[name] : undefined;
  }

  subscriptions(project: string): readonly Subscription[] {
    this.#expireIdle();
    return this.#records()
      .map((record) => record.subscription)
      .filter((subscription) => projectOf(subscription.name) === project);
  }

  subscriptionsOf(topic: string): readonly string[] {
    this.#expireIdle();
    return this.#records()
      .filter((record) => record.subscription.topic === topic)
      .map((record) => record.subscription.name);
  }

  /** Throws 409 when the name is taken, 404 when the topic or the dead-letter topic does not exist. */
  createSubscription(subscription: Subscription): Subscription {
    if (this.record(subscription.name) !== undefined) throw resourceExists(subscription.name);
    if (this.topic(subscription.topic) === undefined) throw noSuchResource(subscription.topic);
    this.#checkDeadLetterTopic(subscription);
    this.#state.subscriptions[subscription.name] = {
      subscription,
      activeMs: this.#context.clock.nowMs(),
      backlog: [],
    };
    this.#context.state.changed();
    return subscription;
  }

  replaceSubscription(record: SubscriptionRecord, subscription: Subscription): Subscription {
    this.#checkDeadLetterTopic(subscription);
    record.subscription = subscription;
    this.#horizons.delete(record); // the retention may be another
    this.touch(record);
    this.#announce(subscription.name);
    return subscription;
  }

  deleteSubscription(name: string): void {
    if (this.record(name) === undefined) throw noSuchResource(name);
    this.#drop(name);
  }

  /** An operation counts as activity: the expiration policy starts anew. */
  touch(record: SubscriptionRecord): void {
    record.activeMs = this.#context.clock.nowMs();
    this.#context.state.changed();
  }

  // Messages

  /** Puts the messages into every backlog whose filter lets them through; answers their ids. Throws 404. */
  publish(topic: string, messages: readonly NewMessage[]): readonly string[] {
    if (this.topic(topic) === undefined) throw noSuchResource(topic);
    this.#expireIdle();
    const stored = messages.map((message) => this.#stored(message));
    for (const record of this.#records()) {
      const { subscription } = record;
      if (subscription.topic !== topic) continue;
      const filter = this.#filter(subscription);
      for (const message of stored) {
        if (filter(message.attributes)) this.#add(record, this.#newEntry(message));
      }
      this.#announce(subscription.name);
    }
    this.#context.state.changed();
    return stored.map((message) => message.messageId);
  }

  /**
   * Entries due at `nowMs`, marked as outstanding until one of the three methods below is called for each. The
   * caller gives the instant, and the same one to `nextDueMs`: what comes due between two looks at the clock would
   * be neither taken nor waited for.
   */
  take(record: SubscriptionRecord, limit: number, nowMs: number): readonly Entry[] {
    this.#dropExpired(record, nowMs);
    const outstanding = this.outstanding(record);
    const entries = dueEntries(record, outstanding, nowMs, limit);
    for (const entry of entries) outstanding.add(entry);
    return entries;
  }

  /** When the next entry comes due that is not due at `nowMs`, in milliseconds of the emulator's clock. */
  nextDueMs(record: SubscriptionRecord, nowMs: number): number | undefined {
    if (nowMs >= this.#horizon(record).lastDueMs) return undefined;
    return nextDueMs(record, this.outstanding(record), nowMs);
  }

  outstanding(record: SubscriptionRecord): Set<Entry> {
    const { name } = record.subscription;
    const known = this.#outstanding.get(name);
    if (known !== undefined) return known;
    const fresh = new Set<Entry>();
    this.#outstanding.set(name, fresh);
    return fresh;
  }

  acknowledge(record: SubscriptionRecord, entry: Entry): void {
    if (!this.#release(record, entry)) return;
    this.#state.delivered += 1;
    record.activeMs = this.#context.clock.nowMs();
    if (entry.repeat) {
      entry.repeat = false;
      this.#postpone(record, entry, this.#context.clock.nowMs());
    } else remove(record, entry);
    this.#context.state.changed();
    this.#announce(record.subscription.name);
  }

  /**
   * A refusal or a missed deadline, at this instant of the emulator's clock in milliseconds: the entry waits for its
   * back-off from then on, or becomes a dead letter.
   */
  refuse(record: SubscriptionRecord, entry: Entry, atMs = this.#context.clock.nowMs()): void {
    if (!this.#release(record, entry)) return;
    entry.refusals += 1;
    const target = this.#deadLetterTarget(record, entry);
    if (target === undefined) {
      this.#postpone(record, entry, atMs + backoffMs(record, entry.refusals, this.#settings.retryFloorMs));
    } else {
      remove(record, entry);
      this.#state.deadLettered += 1;
      this.publish(target, [deadLetter(record.subscription, entry)]);
    }
    this.#context.state.changed();
    this.#announce(record.subscription.name);
  }

  /** Undelivered, for no fault of the subscriber: the emulator is stopping. */
  release(record: SubscriptionRecord, entry: Entry): void {
    this.#release(record, entry);
  }

  /** One sentence for each push subscription with undelivered messages; pull and dead-letter ones do not count. */
  pending(): readonly string[] {
    this.#expireIdle();
    const records = this.#records();
    const deadLetterTopics = new Set(
      records.map((record) => record.subscription.deadLetterPolicy?.deadLetterTopic),
    );
    return records
      .filter((record) => isPush(record.subscription) && !deadLetterTopics.has(record.subscription.topic))
      .flatMap((record) => {
        this.#dropExpired(record, this.#context.clock.nowMs());
        return record.backlog.length === 0 ? [] : [this.#describe(record)];
      });
  }

  #describe(record: SubscriptionRecord): string {
    const name = shortName(record.subscription.name);
    const underWay = this.outstanding(record).size;
    const next = this.nextDueMs(record, this.#context.clock.nowMs());
    const waiting = next === undefined ? '' : `, next try at ${new Date(next).toISOString()}`;
    return `${record.backlog.length} undelivered on ${name} (${underWay} under way${waiting})`;
  }

  /** False when the subscription or the entry has gone meanwhile. */
  #release(record: SubscriptionRecord, entry: Entry): boolean {
    this.outstanding(record).delete(entry);
    return this.#state.subscriptions[record.subscription.name] === record && record.backlog.includes(entry);
  }

  #deadLetterTarget(record: SubscriptionRecord, entry: Entry): string | undefined {
    const { deadLetterPolicy, name } = record.subscription;
    if (deadLetterPolicy === undefined || entry.refusals < deadLetterPolicy.maxDeliveryAttempts)
      return undefined;
    const { access, serviceAgent } = this.#settings;
    const target = deadLetterPolicy.deadLetterTopic;
    const mayForward =
      access.allows(serviceAgent, 'pubsub.topics.publish', target) &&
      access.allows(serviceAgent, 'pubsub.subscriptions.consume', name);
    return mayForward && this.topic(target) !== undefined ? target : undefined;
  }

  #checkDeadLetterTopic(subscription: Subscription): void {
    const target = subscription.deadLetterPolicy?.deadLetterTopic;
    if (target !== undefined && this.topic(target) === undefined) throw noSuchResource(target);
  }

  #stored(message: NewMessage): StoredMessage {
    const number = this.#state.sequence;
    this.#state.sequence += 1;
    return {
      // Seventeen digits, as the real ones have: more than a double holds.
      messageId: `1${String(number).padStart(16, '0')}`,
      publishTime: this.#context.clock.now().toISOString(),
      data: message.data.toString('base64'),
      attributes: message.attributes,
      orderingKey: message.orderingKey,
    };
  }

  /** The event faults in force mark the entry as it arrives, so that one seed gives one run. */
  #newEntry(message: StoredMessage): Entry {
    const { faults, clock } = this.#context;
    const { duplicate, reorder, delayMs } = faults.current.events;
    const heldMs = faults.chance(reorder) ? faults.draw() * REORDER_WINDOW_MS : 0;
    return {
      message,
      refusals: 0,
      dueMs: clock.nowMs() + delayMs + heldMs,
      repeat: faults.chance(duplicate),
    };
  }

  #filter(subscription: Subscription): Filter {
    const source = subscription.filter ?? '';
    const known = this.#filters.get(source);
    if (known !== undefined) return known;
    const parsed = parseFilter(source);
    this.#filters.set(source, parsed);
    return parsed;
  }

  #add(record: SubscriptionRecord, entry: Entry): void {
    stretch(this.#horizon(record), record, entry);
    record.backlog.push(entry);
  }

  #postpone(record: SubscriptionRecord, entry: Entry, dueMs: number): void {
    entry.dueMs = dueMs;
    stretch(this.#horizon(record), record, entry);
  }

  #horizon(record: SubscriptionRecord): Horizon {
    const known = this.#horizons.get(record);
    if (known !== undefined) return known;
    const fresh = horizonOf(record);
    this.#horizons.set(record, fresh);
    return fresh;
  }

  #dropExpired(record: SubscriptionRecord, nowMs: number): void {
    if (nowMs < this.#horizon(record).firstEndMs) return;
    this.#horizons.delete(record);
    const outstanding = this.outstanding(record);
    const expired = record.backlog.filter(
      (entry) => !outstanding.has(entry) && hasExpired(record, entry, nowMs),
    );
    if (expired.length === 0) return;
    for (const entry of expired) remove(record, entry);
    this.#context.state.changed();
  }

  /** Subscriptions that nobody used for the length of their policy are deleted, messages and all. */
  #expireIdle(): void {
    const nowMs = this.#context.clock.nowMs();
    for (const record of this.#records()) {
      const { ttl } = record.subscription.expirationPolicy;
      if (ttl === undefined) continue;
      const endMs = record.activeMs + storedDurationMs(ttl);
      if (nowMs < endMs) continue;
      // Pushes that were due before that would have kept it alive in real time; they get their chance first.
      const owed =
        isPush(record.subscription) &&
        (this.outstanding(record).size > 0 || record.backlog.some((entry) => entry.dueMs < endMs));
      if (!owed) this.#drop(record.subscription.name);
    }
  }

  #drop(name: string): void {
    delete this.#state.subscriptions[name];
    this.#outstanding.delete(name);
    this.#context.state.changed();
  }

  #records(): readonly SubscriptionRecord[] {
    return Object.values(this.#state.subscriptions);
  }

  #announce(name: string): void {
    for (const listener of this.#listeners) listener(name);
  }
}

function remove(record: SubscriptionRecord, entry: Entry): void {
  const index = record.backlog.indexOf(entry);
  if (index >= 0) record.backlog.splice(index, 1);
}

/** Dead letters carry where they come from in four attributes. */
function deadLetter(subscription: Subscription, entry: Entry): NewMessage {
  const { message } = entry;
  return {
    data: Buffer.from(message.data, 'base64'),
    orderingKey: message.orderingKey,
    attributes: {
      ...message.attributes,
      CloudPubSubDeadLetterSourceDeliveryCount: String(entry.refusals),
      CloudPubSubDeadLetterSourceSubscription: shortName(subscription.name),
      CloudPubSubDeadLetterSourceSubscriptionProject: subscription.name.split('/')[1] ?? '',
      CloudPubSubDeadLetterSourceTopicPublishTime: message.publishTime,
    },
  };
}
