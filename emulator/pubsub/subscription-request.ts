/** What a subscription may look like: Google's fields, defaults and limits, and what is refused. */
import { invalidArgument } from '../core/google-error.ts';
import type { Message, Shape } from '../core/message.ts';
import { durationMs } from './duration.ts';
import { parseFilter } from './filter.ts';
import { checkLabels } from './labels.ts';
import { tooLarge, tooSmall } from './message-rules.ts';
import { notEmulated, resourceName } from './names.ts';
import type { DeadLetterPolicy, PushConfig, RetryPolicy, Subscription } from './resources.ts';
import { maskedPaths } from './update-mask.ts';

export const PUSH_CONFIG_SHAPE = {
  pushEndpoint: 'string',
  attributes: 'string-map',
  oidcToken: { message: { serviceAccountEmail: 'string', audience: 'string' } },
  pubsubWrapper: { message: {} },
  noWrapper: { message: { writeMetadata: 'bool' } },
} as const satisfies Shape;

export const SUBSCRIPTION_SHAPE = {
  name: 'string',
  topic: 'string',
  pushConfig: { message: PUSH_CONFIG_SHAPE },
  ackDeadlineSeconds: 'int32',
  retainAckedMessages: 'bool',
  messageRetentionDuration: 'string',
  labels: 'string-map',
  enableMessageOrdering: 'bool',
  expirationPolicy: { message: { ttl: 'string' } },
  filter: 'string',
  deadLetterPolicy: { message: { deadLetterTopic: 'string', maxDeliveryAttempts: 'int32' } },
  retryPolicy: { message: { minimumBackoff: 'string', maximumBackoff: 'string' } },
  detached: 'bool',
  enableExactlyOnceDelivery: 'bool',
  topicMessageRetentionDuration: 'string',
  state: 'string',
  tags: 'string-map',
} as const satisfies Shape;

/** Fields Google knows whose behaviour is not offered here. Their inner form is not read. */
export const SUBSCRIPTION_FIELDS_NOT_EMULATED = [
  'bigqueryConfig',
  'bigtableConfig',
  'cloudStorageConfig',
  'messageTransforms',
] as const;

type GivenPushConfig = Message<typeof PUSH_CONFIG_SHAPE>;
/** A subscription as a request writes it; see `subscriptionFrom` for what absent fields mean. */
export type GivenSubscription = Message<typeof SUBSCRIPTION_SHAPE>;

const DAY_SECONDS = 86_400;
const UPDATABLE = [
  'pushConfig',
  'ackDeadlineSeconds',
  'messageRetentionDuration',
  'labels',
  'expirationPolicy',
  'deadLetterPolicy',
  'retryPolicy',
];

/**
 * The subscription a create request describes, with Google's defaults filled in: ack deadline 10 s, retention 7
 * days, expiry after 31 idle days (never, when the policy is given without a ttl), a retry policy from 10 s to
 * 600 s when one is given empty, 5 attempts in a dead-letter policy. Throws 400, and 501 for what is not emulated.
 */
export function subscriptionFrom(name: string, given: GivenSubscription): Subscription {
  if (given.name !== undefined && given.name !== '' && given.name !== name) {
    throw invalidArgument(`The name in the body (${given.name}) is not the one in the path (${name}).`);
  }
  const topic = resourceName(given.topic ?? '', 'topics');
  if (given.enableExactlyOnceDelivery === true) throw notEmulated('enableExactlyOnceDelivery');
  if (given.retainAckedMessages === true) throw notEmulated('retainAckedMessages');
  checkLabels(given.labels);
  parseFilter(given.filter ?? '');
  const deadLetterPolicy = deadLetterPolicyFrom(given.deadLetterPolicy);
  const retryPolicy = retryPolicyFrom(given.retryPolicy);
  return {
    name,
    topic,
    pushConfig: pushConfigFrom(given.pushConfig ?? {}),
    ackDeadlineSeconds: ackDeadline(given.ackDeadlineSeconds ?? 0),
    messageRetentionDuration: retention(given.messageRetentionDuration ?? '604800s'),
    expirationPolicy: expirationPolicyFrom(given.expirationPolicy),
    ...(Object.keys(given.labels ?? {}).length === 0 ? {} : { labels: given.labels ?? {} }),
    ...(given.enableMessageOrdering === true ? { enableMessageOrdering: true } : {}),
    ...((given.filter ?? '') === '' ? {} : { filter: given.filter ?? '' }),
    ...(deadLetterPolicy === undefined ? {} : { deadLetterPolicy }),
    ...(retryPolicy === undefined ? {} : { retryPolicy }),
  };
}

/** The subscription after an update request. A masked field that is not given goes back to its default. */
export function updatedSubscription(
  subscription: Subscription,
  given: GivenSubscription,
  updateMask: string,
): Subscription {
  const merged: Record<string, unknown> = { ...subscription };
  for (const field of maskedPaths(updateMask, 'Subscription', Object.keys(SUBSCRIPTION_SHAPE), UPDATABLE)) {
    merged[field] = given[field as keyof GivenSubscription];
    if (merged[field] === undefined) delete merged[field];
  }
  const { topic, ...rest } = merged;
  // The topic may be `_deleted-topic_`, which is no name a request could carry.
  const checked = subscriptionFrom(subscription.name, {
    ...(rest as GivenSubscription),
    topic: 'projects/unchanged/topics/unchanged',
  });
  return { ...checked, topic: topic as string };
}

/** An empty push configuration means: this subscription is pulled from. */
export function pushConfigFrom(given: GivenPushConfig): PushConfig {
  if (given.noWrapper !== undefined) throw notEmulated('pushConfig.noWrapper');
  const endpoint = given.pushEndpoint ?? '';
  if (endpoint === '') {
    if (given.oidcToken !== undefined)
      throw invalidArgument('An OIDC token needs a push endpoint: set pushConfig.pushEndpoint.');
    return {};
  }
  checkEndpoint(endpoint);
  const version = given.attributes?.['x-goog-version'];
  const unknown = Object.keys(given.attributes ?? {}).find((key) => key !== 'x-goog-version');
  if (unknown !== undefined) throw invalidArgument(`Unknown push attribute "${unknown}".`);
  if (version !== undefined && version !== 'v1' && version !== 'v1beta2')
    throw invalidArgument(`Push format "${version}" is not supported; use v1.`);
  return {
    pushEndpoint: endpoint,
    attributes: { 'x-goog-version': version ?? 'v1' },
    ...(given.oidcToken === undefined ? {} : { oidcToken: oidcTokenFrom(given.oidcToken) }),
  };
}

function oidcTokenFrom(given: NonNullable<GivenPushConfig['oidcToken']>) {
  const serviceAccountEmail = given.serviceAccountEmail ?? '';
  if (!/^[^@\s]+@[^@\s]+\.gserviceaccount\.com$/.test(serviceAccountEmail)) {
    throw invalidArgument(
      `Invalid service account in oidc_token (service_account_email=${serviceAccountEmail}).`,
    );
  }
  return (given.audience ?? '') === ''
    ? { serviceAccountEmail }
    : { serviceAccountEmail, audience: given.audience ?? '' };
}

/** Google pushes to HTTPS only; plain HTTP is let through to this machine, where the emulator's functions live. */
function checkEndpoint(endpoint: string): void {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const loopback = url !== undefined && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname);
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && loopback)) return;
  throw invalidArgument(
    `Invalid push endpoint given (endpoint=${endpoint}). Refer to https://cloud.google.com/pubsub/docs/push#receive_push for more information.`,
  );
}

function ackDeadline(seconds: number): number {
  if (seconds === 0) return 10;
  if (seconds < 10) throw tooSmall('ack_deadline_seconds', seconds, 10);
  if (seconds > 600) throw tooLarge('ack_deadline_seconds', seconds, 600);
  return seconds;
}

function retention(text: string): string {
  durationMs(text, 'message_retention_duration', { minSeconds: 600, maxSeconds: 31 * DAY_SECONDS });
  return text;
}

function expirationPolicyFrom(given: GivenSubscription['expirationPolicy']): { ttl?: string } {
  if (given === undefined) return { ttl: `${31 * DAY_SECONDS}s` };
  if (given.ttl === undefined) return {};
  durationMs(given.ttl, 'expiration_policy.ttl', { minSeconds: DAY_SECONDS, maxSeconds: 365 * DAY_SECONDS });
  return { ttl: given.ttl };
}

function deadLetterPolicyFrom(given: GivenSubscription['deadLetterPolicy']): DeadLetterPolicy | undefined {
  if (given === undefined) return undefined;
  const attempts = given.maxDeliveryAttempts ?? 0;
  if (attempts !== 0 && attempts < 5) throw tooSmall('max_delivery_attempts', attempts, 5);
  if (attempts > 100) throw tooLarge('max_delivery_attempts', attempts, 100);
  return {
    deadLetterTopic: resourceName(given.deadLetterTopic ?? '', 'topics'),
    maxDeliveryAttempts: attempts === 0 ? 5 : attempts,
  };
}

function retryPolicyFrom(given: GivenSubscription['retryPolicy']): RetryPolicy | undefined {
  if (given === undefined) return undefined;
  const limits = { minSeconds: 0, maxSeconds: 600 };
  const minimumBackoff = given.minimumBackoff ?? '10s';
  const maximumBackoff = given.maximumBackoff ?? '600s';
  const minimumMs = durationMs(minimumBackoff, 'minimum_backoff', limits);
  const maximumMs = durationMs(maximumBackoff, 'maximum_backoff', limits);
  if (maximumMs < minimumMs) {
    throw invalidArgument(
      `The value for maximum_backoff is too small. You passed ${maximumBackoff} in the request, but the minimum value is ${minimumBackoff}.`,
    );
  }
  return { minimumBackoff, maximumBackoff };
}
