/** Google's REST methods over the broker. Field lists and scopes are those of the v1 discovery document. */
import { invalidArgument } from '../core/google-error.ts';
import { checkQuery, readMessage, wantsNumericEnums } from '../core/message.ts';
import { type Answer, type Call, jsonBody, ok, type Route } from '../core/route.ts';
import type { Permission, PubsubAccess } from './access.ts';
import type { Broker } from './broker.ts';
import { checkMessages } from './message-rules.ts';
import { noSuchResource, notEmulated, resourceName } from './names.ts';
import { pageOf } from './page.ts';
import type { PullDesk } from './pull-desk.ts';
import type { StoredMessage, Subscription, SubscriptionRecord, Topic } from './resources.ts';
import {
  PUSH_CONFIG_SHAPE,
  pushConfigFrom,
  SUBSCRIPTION_FIELDS_NOT_EMULATED,
  SUBSCRIPTION_SHAPE,
  subscriptionFrom,
  updatedSubscription,
} from './subscription-request.ts';
import { TOPIC_FIELDS_NOT_EMULATED, TOPIC_SHAPE, topicFrom, updatedTopic } from './topic-request.ts';

export interface RouteParts {
  readonly broker: Broker;
  readonly access: PubsubAccess;
  readonly desk: PullDesk;
}

const SCOPES = ['https://www.googleapis.com/auth/cloud-platform', 'https://www.googleapis.com/auth/pubsub'];
const PROJECT = '/v1/projects/:project';
const TOPIC = `${PROJECT}/topics/:topic`;
const SUBSCRIPTION = `${PROJECT}/subscriptions/:subscription`;

const MESSAGE_SHAPE = {
  data: 'bytes',
  attributes: 'string-map',
  messageId: 'string',
  publishTime: 'string',
  orderingKey: 'string',
} as const;

export function pubsubRoutes(parts: RouteParts): readonly Route[] {
  return [...topicRoutes(parts), ...subscriptionRoutes(parts), ...deliveryRoutes(parts)];
}

function topicRoutes({ broker, access }: RouteParts): readonly Route[] {
  return [
    // Paths with a custom verb come first: the plain ones would match them too.
    method('topics.publish', 'POST', `${TOPIC}\\:publish`, (call) => {
      const name = permitted(call, access, 'topics', 'pubsub.topics.publish');
      checkQuery(call);
      const { messages = [] } = readMessage(call, { messages: { repeated: { message: MESSAGE_SHAPE } } });
      const given = messages.map((message, index) => {
        for (const field of ['messageId', 'publishTime'] as const) {
          if (message[field] !== undefined)
            throw invalidArgument(`messages[${index}].${field} is set by the server; leave it out.`);
        }
        const { data = Buffer.alloc(0), attributes = {}, orderingKey = '' } = message;
        return { data, attributes, orderingKey };
      });
      checkMessages(given);
      return ok({ messageIds: broker.publish(name, given) });
    }),
    method('topics.create', 'PUT', TOPIC, (call) => {
      const name = permitted(call, access, 'topics', 'pubsub.topics.create');
      checkQuery(call);
      refuseNotEmulated(jsonBody(call), TOPIC_FIELDS_NOT_EMULATED);
      return ok(shownTopic(broker.createTopic(topicFrom(name, readMessage(call, TOPIC_SHAPE))), call));
    }),
    method('topics.get', 'GET', TOPIC, (call) => {
      const name = permitted(call, access, 'topics', 'pubsub.topics.get');
      checkQuery(call);
      return ok(shownTopic(existing(broker.topic(name), name), call));
    }),
    method('topics.patch', 'PATCH', TOPIC, (call) => {
      const name = permitted(call, access, 'topics', 'pubsub.topics.update');
      checkQuery(call);
      refuseNotEmulated(jsonBody(call)['topic'], TOPIC_FIELDS_NOT_EMULATED);
      const given = readMessage(call, { topic: { message: TOPIC_SHAPE }, updateMask: 'string' });
      const topic = existing(broker.topic(name), name);
      return ok(
        shownTopic(broker.replaceTopic(updatedTopic(topic, given.topic ?? {}, given.updateMask ?? '')), call),
      );
    }),
    method('topics.delete', 'DELETE', TOPIC, (call) => {
      const name = permitted(call, access, 'topics', 'pubsub.topics.delete');
      checkQuery(call);
      broker.deleteTopic(name);
      return ok({});
    }),
    method('topics.list', 'GET', `${PROJECT}/topics`, (call) => {
      const project = `projects/${call.params['project']}`;
      access.check(call.caller, 'pubsub.topics.list', project);
      checkQuery(call, ['pageSize', 'pageToken']);
      const page = pageOf(call, broker.topics(project), (topic) => topic.name);
      return listed('topics', { ...page, items: page.items.map((topic) => shownTopic(topic, call)) });
    }),
    method('topics.subscriptions.list', 'GET', `${TOPIC}/subscriptions`, (call) => {
      const name = permitted(call, access, 'topics', 'pubsub.topics.get');
      checkQuery(call, ['pageSize', 'pageToken']);
      existing(broker.topic(name), name);
      return listed(
        'subscriptions',
        pageOf(call, broker.subscriptionsOf(name), (subscription) => subscription),
      );
    }),
  ];
}

function subscriptionRoutes({ broker, access }: RouteParts): readonly Route[] {
  return [
    method('subscriptions.modifyPushConfig', 'POST', `${SUBSCRIPTION}\\:modifyPushConfig`, (call) => {
      const record = recordFor(call, broker, access, 'pubsub.subscriptions.update');
      checkQuery(call);
      const given = readMessage(call, { pushConfig: { message: PUSH_CONFIG_SHAPE } });
      if (given.pushConfig === undefined) throw invalidArgument('The push_config must be set.');
      broker.replaceSubscription(record, {
        ...record.subscription,
        pushConfig: pushConfigFrom(given.pushConfig),
      });
      return ok({});
    }),
    method('subscriptions.create', 'PUT', SUBSCRIPTION, (call) => {
      const name = permitted(call, access, 'subscriptions', 'pubsub.subscriptions.create');
      checkQuery(call);
      refuseNotEmulated(jsonBody(call), SUBSCRIPTION_FIELDS_NOT_EMULATED);
      const subscription = subscriptionFrom(name, readMessage(call, SUBSCRIPTION_SHAPE));
      access.check(call.caller, 'pubsub.topics.attachSubscription', subscription.topic);
      return ok(shownSubscription(broker.createSubscription(subscription), call));
    }),
    method('subscriptions.get', 'GET', SUBSCRIPTION, (call) => {
      const record = recordFor(call, broker, access, 'pubsub.subscriptions.get');
      checkQuery(call);
      return ok(shownSubscription(record.subscription, call));
    }),
    method('subscriptions.patch', 'PATCH', SUBSCRIPTION, (call) => {
      const record = recordFor(call, broker, access, 'pubsub.subscriptions.update');
      checkQuery(call);
      refuseNotEmulated(jsonBody(call)['subscription'], SUBSCRIPTION_FIELDS_NOT_EMULATED);
      const given = readMessage(call, {
        subscription: { message: SUBSCRIPTION_SHAPE },
        updateMask: 'string',
      });
      const next = updatedSubscription(record.subscription, given.subscription ?? {}, given.updateMask ?? '');
      return ok(shownSubscription(broker.replaceSubscription(record, next), call));
    }),
    method('subscriptions.delete', 'DELETE', SUBSCRIPTION, (call) => {
      const name = permitted(call, access, 'subscriptions', 'pubsub.subscriptions.delete');
      checkQuery(call);
      broker.deleteSubscription(name);
      return ok({});
    }),
    method('subscriptions.list', 'GET', `${PROJECT}/subscriptions`, (call) => {
      const project = `projects/${call.params['project']}`;
      access.check(call.caller, 'pubsub.subscriptions.list', project);
      checkQuery(call, ['pageSize', 'pageToken']);
      const page = pageOf(call, broker.subscriptions(project), (subscription) => subscription.name);
      return listed('subscriptions', {
        ...page,
        items: page.items.map((subscription) => shownSubscription(subscription, call)),
      });
    }),
  ];
}

function deliveryRoutes({ broker, access, desk }: RouteParts): readonly Route[] {
  return [
    method('subscriptions.pull', 'POST', `${SUBSCRIPTION}\\:pull`, async (call) => {
      const record = recordFor(call, broker, access, 'pubsub.subscriptions.consume');
      checkQuery(call);
      const given = readMessage(call, { maxMessages: 'int32', returnImmediately: 'bool' });
      const limit = given.maxMessages ?? 0;
      if (limit < 1)
        throw invalidArgument(
          `The value for max_messages is too small. You passed ${limit} in the request, but the minimum value is 1.`,
        );
      broker.touch(record);
      const received = await desk.pull(record, limit, given.returnImmediately ?? false, call.signal);
      return received.length === 0
        ? ok({})
        : ok({
            receivedMessages: received.map((one) => ({ ...one, message: shownMessage(one.message) })),
          });
    }),
    method('subscriptions.acknowledge', 'POST', `${SUBSCRIPTION}\\:acknowledge`, (call) => {
      const record = recordFor(call, broker, access, 'pubsub.subscriptions.consume');
      checkQuery(call);
      const { ackIds = [] } = readMessage(call, { ackIds: { repeated: 'string' } });
      broker.touch(record);
      desk.acknowledge(ackIds);
      return ok({});
    }),
    method('subscriptions.modifyAckDeadline', 'POST', `${SUBSCRIPTION}\\:modifyAckDeadline`, (call) => {
      const record = recordFor(call, broker, access, 'pubsub.subscriptions.consume');
      checkQuery(call);
      const given = readMessage(call, { ackIds: { repeated: 'string' }, ackDeadlineSeconds: 'int32' });
      const seconds = given.ackDeadlineSeconds ?? 0;
      if (seconds < 0 || seconds > 600)
        throw invalidArgument(
          `The value for ack_deadline_seconds is out of bounds. You passed ${seconds} in the request, but the value must be between 0 and 600.`,
        );
      broker.touch(record);
      desk.modifyDeadline(given.ackIds ?? [], seconds);
      return ok({});
    }),
  ];
}

function method(
  id: string,
  verb: Route['verb'],
  path: string,
  handle: (call: Call) => Answer | Promise<Answer>,
): Route {
  return { id: `pubsub.projects.${id}`, verb, path, scopes: SCOPES, handle };
}

/** The full name in the path, after checking it and the caller's right to it. */
function permitted(
  call: Call,
  access: PubsubAccess,
  collection: 'topics' | 'subscriptions',
  permission: Permission,
): string {
  const id = call.params[collection === 'topics' ? 'topic' : 'subscription'] ?? '';
  const name = resourceName(`projects/${call.params['project']}/${collection}/${id}`, collection);
  access.check(call.caller, permission, name);
  return name;
}

function recordFor(
  call: Call,
  broker: Broker,
  access: PubsubAccess,
  permission: Permission,
): SubscriptionRecord {
  const name = permitted(call, access, 'subscriptions', permission);
  return existing(broker.record(name), name);
}

function existing<T>(found: T | undefined, name: string): T {
  if (found === undefined) throw noSuchResource(name);
  return found;
}

/** Throws 501 for a field that Google offers and the emulator does not. */
function refuseNotEmulated(resource: unknown, fields: readonly string[]): void {
  if (resource === null || typeof resource !== 'object') return;
  for (const name of Object.keys(resource)) {
    const field = name.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
    if (fields.includes(field)) throw notEmulated(field);
  }
}

function listed(collection: string, page: { items: readonly unknown[]; nextPageToken?: string }): Answer {
  return ok({
    ...(page.items.length === 0 ? {} : { [collection]: page.items }),
    ...(page.nextPageToken === undefined ? {} : { nextPageToken: page.nextPageToken }),
  });
}

const active = (call: Call): 'ACTIVE' | 1 => (wantsNumericEnums(call) ? 1 : 'ACTIVE');

const shownTopic = (topic: Topic, call: Call): unknown => ({ ...topic, state: active(call) });

const shownSubscription = (subscription: Subscription, call: Call): unknown => ({
  ...subscription,
  state: active(call),
});

const shownMessage = (message: StoredMessage): unknown => ({
  ...(message.data === '' ? {} : { data: message.data }),
  ...(Object.keys(message.attributes).length === 0 ? {} : { attributes: message.attributes }),
  messageId: message.messageId,
  publishTime: message.publishTime,
  ...(message.orderingKey === '' ? {} : { orderingKey: message.orderingKey }),
});
