/**
 * Vocabulary of the Pub/Sub room. A *topic* is published into; each *subscription* of it keeps a *backlog* of the
 * messages it has not acknowledged. An *entry* is one message in one backlog. To *acknowledge* is to be done with an
 * entry, to *refuse* (Google's nack) is to want it again. Field names and defaults are Google's:
 * https://docs.cloud.google.com/pubsub/docs/reference/rest
 */

/** As the API answers it. Durations are protobuf JSON (`600s`). */
export interface Topic {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly messageRetentionDuration?: string;
  readonly messageStoragePolicy?: { readonly allowedPersistenceRegions?: readonly string[] };
}

export interface PushConfig {
  readonly pushEndpoint?: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly oidcToken?: { readonly serviceAccountEmail: string; readonly audience?: string };
}

export interface RetryPolicy {
  readonly minimumBackoff: string;
  readonly maximumBackoff: string;
}

export interface DeadLetterPolicy {
  readonly deadLetterTopic: string;
  readonly maxDeliveryAttempts: number;
}

export interface Subscription {
  readonly name: string;
  /** Full name of the topic, or `_deleted-topic_`. */
  readonly topic: string;
  /** Empty for a subscription that is pulled from. */
  readonly pushConfig: PushConfig;
  readonly ackDeadlineSeconds: number;
  readonly messageRetentionDuration: string;
  readonly expirationPolicy: { readonly ttl?: string };
  readonly labels?: Readonly<Record<string, string>>;
  readonly enableMessageOrdering?: boolean;
  readonly filter?: string;
  readonly deadLetterPolicy?: DeadLetterPolicy;
  readonly retryPolicy?: RetryPolicy;
}

export interface StoredMessage {
  /** Decimal, unique, growing. */
  readonly messageId: string;
  /** RFC 3339 with milliseconds, by the emulator's clock. */
  readonly publishTime: string;
  /** Standard base64; empty when the message has attributes only. */
  readonly data: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Empty when the message is not ordered. */
  readonly orderingKey: string;
}

/** One message in one subscription's backlog. Changed in place. */
export interface Entry {
  readonly message: StoredMessage;
  /** Deliveries that were refused or not answered in time. */
  refusals: number;
  /** Not handed out before this instant of the emulator's clock, in milliseconds. */
  dueMs: number;
  /** The duplicate fault struck it: once acknowledged it is delivered once more. */
  repeat: boolean;
}

export interface SubscriptionRecord {
  subscription: Subscription;
  /** Last successful delivery or operation, in milliseconds; what the expiration policy counts from. */
  activeMs: number;
  /** In the order of publication. */
  readonly backlog: Entry[];
}

/** The section `pubsub` of the emulator's state. */
export interface PubsubState {
  /** Number of the next message. */
  sequence: number;
  readonly topics: Record<string, Topic>;
  readonly subscriptions: Record<string, SubscriptionRecord>;
  /** Acknowledged deliveries, repeats included. */
  delivered: number;
  deadLettered: number;
}

export const DELETED_TOPIC = '_deleted-topic_';

export const isPush = (subscription: Subscription): boolean =>
  (subscription.pushConfig.pushEndpoint ?? '') !== '';

/** The last part of a full name. */
export const shortName = (name: string): string => name.slice(name.lastIndexOf('/') + 1);

/** `projects/P` of a full name. */
export const projectOf = (name: string): string => name.split('/').slice(0, 2).join('/');
