/**
 * `users.watch` and `channels.stop`: push notifications about users, and about nothing else.
 * https://developers.google.com/workspace/admin/directory/v1/guides/push
 */
import { createHash, randomBytes, randomInt } from 'node:crypto';
import type { Caller } from '../core/access-tokens.ts';
import { GoogleError } from '../core/google-error.ts';
import { type Message, readMessage, type Shape } from '../core/message.ts';
import type { OutboundParts } from '../core/outbound-request.ts';
import type { AccountChange, Busy } from '../core/rooms.ts';
import type { Call } from '../core/route.ts';
import { domainOf } from './addresses.ts';
import type { Disturbance } from './disturbance.ts';
import { isObject } from './json-object.ts';
import { optionalChoice } from './method.ts';
import { NotificationQueue, type RetryPolicy } from './notification-queue.ts';
import type { ChannelRecord, UserRecord } from './records.ts';
import { badRequest, invalid } from './refusals.ts';
import { requireScope } from './scope.ts';
import type { Tenant } from './tenant.ts';

export const CHANNEL_SELECTABLE = {
  address: 'leaf',
  expiration: 'leaf',
  id: 'leaf',
  kind: 'leaf',
  params: 'open',
  payload: 'leaf',
  resourceId: 'leaf',
  resourceUri: 'leaf',
  token: 'leaf',
  type: 'leaf',
} as const;

const CHANNEL = {
  address: 'string',
  expiration: 'int64',
  id: 'string',
  kind: 'string',
  // Text by the discovery document, a number in the guide's sample.
  params: 'any',
  payload: 'bool',
  resourceId: 'string',
  resourceUri: 'string',
  token: 'string',
  type: 'string',
} as const satisfies Shape;

type ChannelBody = Message<typeof CHANNEL>;

/** What a channel lives when nothing was asked for: two hours, as the discovery document says. */
const DEFAULT_TTL_MS = 2 * 3_600_000;
const EVENTS = ['add', 'delete', 'makeAdmin', 'undelete', 'update'] as const;
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;
const RESOURCE_ROOT = 'https://admin.googleapis.com/admin/directory/v1/users';

export interface ChannelOptions {
  /** No channel lives longer, whatever was asked for. */
  readonly maxTtlMs: number;
  readonly retry: RetryPolicy;
  readonly outbound: OutboundParts;
}

export class Channels implements Busy {
  readonly #tenant: Tenant;
  readonly #disturbance: Disturbance;
  readonly #options: ChannelOptions;
  readonly #queues = new Map<string, NotificationQueue>();

  constructor(tenant: Tenant, disturbance: Disturbance, options: ChannelOptions) {
    this.#tenant = tenant;
    this.#disturbance = disturbance;
    this.#options = options;
  }

  watch(call: Call, caller: Caller): unknown {
    const domain = requireScope(call, this.#tenant);
    const event = optionalChoice(call, 'event', EVENTS);
    const body = readMessage(call, CHANNEL);
    const resourceUri = resourceUriOf(call, event);
    const { token } = body;
    if (token !== undefined && !/^[\x20-\x7e]{0,256}$/.test(token))
      throw invalid('Channel token must have 256 printable ASCII characters at most');
    const record: ChannelRecord = {
      id: this.#newId(body.id),
      address: checkAddress(body),
      ...(token === undefined ? {} : { token }),
      resourceId: createHash('sha256').update(resourceUri).digest('base64url').slice(0, 27),
      resourceUri,
      expirationMs: this.#expirationMs(body),
      ...(domain === undefined ? {} : { domain }),
      ...(event === undefined ? {} : { event }),
      owner: caller.email,
      lastMessageNumber: 1,
    };
    this.#tenant.data.channels[record.id] = record;
    this.#tenant.touched();
    this.#deliver(record, 'sync', 1);
    return {
      kind: 'api#channel',
      id: record.id,
      resourceId: record.resourceId,
      resourceUri,
      ...(record.token === undefined ? {} : { token: record.token }),
      expiration: String(record.expirationMs),
    };
  }

  /** Needs id and resourceId of a living channel that the same caller opened; throws 404 otherwise. */
  stop(call: Call, caller: Caller): undefined {
    const { id = '', resourceId = '' } = readMessage(call, CHANNEL);
    if (id === '') throw required('id');
    if (resourceId === '') throw required('resourceId');
    const record = this.#living().find((entry) => entry.id === id && entry.resourceId === resourceId);
    if (record === undefined || record.owner !== caller.email) {
      throw new GoogleError(404, 'notFound', `Channel '${id}' not found`);
    }
    this.#forget(id);
    return undefined;
  }

  /** Tells every channel that asked for it, each by a message of its own. */
  announce(change: AccountChange, user: UserRecord): void {
    for (const record of this.#living()) {
      if (record.event !== undefined && record.event !== change) continue;
      if (record.domain !== undefined && record.domain !== domainOf(user.primaryEmail)) continue;
      // Numbers grow but skip values, so that nobody can take a gap for a loss.
      record.lastMessageNumber += 1 + randomInt(3);
      const number = record.lastMessageNumber;
      const body = Buffer.from(
        JSON.stringify({
          kind: 'admin#directory#user',
          id: user.id,
          etag: `"${randomBytes(20).toString('base64url')}"`,
          primaryEmail: user.primaryEmail,
        }),
      );
      this.#disturbance.send(`notification ${number} of channel ${record.id}`, () =>
        this.#deliver(record, change, number, body),
      );
    }
    this.#tenant.touched();
  }

  pending(): readonly string[] {
    return [...this.#queues.values()].flatMap((queue) => queue.pending());
  }

  close(): void {
    for (const queue of this.#queues.values()) queue.close();
    this.#queues.clear();
  }

  #deliver(record: ChannelRecord, state: AccountChange | 'sync', number: number, body?: Buffer): void {
    if (!this.#alive(record)) return;
    let queue = this.#queues.get(record.id);
    if (queue === undefined) {
      const { retry, outbound } = this.#options;
      queue = new NotificationQueue(record.address, () => this.#alive(record), retry, outbound);
      this.#queues.set(record.id, queue);
    }
    const headers: Record<string, string> = {
      Accept: '*/*',
      'User-Agent': 'APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)',
      'X-Goog-Channel-ID': record.id,
      'X-Goog-Channel-Expiration': new Date(record.expirationMs).toUTCString(),
      'X-Goog-Resource-State': state,
      'X-Goog-Message-Number': String(number),
      'X-Goog-Resource-ID': record.resourceId,
      'X-Goog-Resource-URI': record.resourceUri,
      ...(record.token === undefined ? {} : { 'X-Goog-Channel-Token': record.token }),
      ...(body === undefined ? {} : { 'Content-Type': 'application/json; utf-8' }),
    };
    queue.add(`notification ${number} (${state}) of channel ${record.id}`, headers, body);
  }

  #alive(record: ChannelRecord): boolean {
    return this.#tenant.data.channels[record.id] === record && record.expirationMs > this.#tenant.nowMs;
  }

  #living(): readonly ChannelRecord[] {
    const channels = Object.values(this.#tenant.data.channels);
    for (const record of channels) if (!this.#alive(record)) this.#forget(record.id);
    return channels.filter((record) => this.#alive(record));
  }

  #forget(id: string): void {
    delete this.#tenant.data.channels[id];
    this.#queues.get(id)?.close();
    this.#queues.delete(id);
    this.#tenant.touched();
  }

  #newId(id = ''): string {
    if (id === '') throw required('id');
    if (!/^[A-Za-z0-9\-_+/=]{1,64}$/.test(id)) {
      throw invalid('Channel id must have 1 to 64 characters out of letters, digits and -_+/=');
    }
    if (this.#living().some((record) => record.id === id)) {
      throw new GoogleError(400, 'channelIdNotUnique', `Channel id ${id} not unique`);
    }
    return id;
  }

  #expirationMs(body: ChannelBody): number {
    const nowMs = this.#tenant.nowMs;
    const asked: number[] = [];
    const { params } = body;
    if (params !== undefined && !isObject(params)) throw invalid('Channel params must be an object');
    const ttl = params?.['ttl'];
    if (ttl !== undefined) {
      if (!/^[1-9]\d{0,9}$/.test(String(ttl))) throw invalid(`Invalid value '${String(ttl)}' for params.ttl`);
      asked.push(nowMs + Number(ttl) * 1000);
    }
    if (body.expiration !== undefined) {
      const expirationMs = Number(body.expiration);
      if (!(expirationMs > nowMs)) throw invalid('Channel expiration must be in the future');
      asked.push(expirationMs);
    }
    if (asked.length === 0) asked.push(nowMs + DEFAULT_TTL_MS);
    return Math.min(...asked, nowMs + this.#options.maxTtlMs);
  }
}

function checkAddress({ type = '', address = '' }: ChannelBody): string {
  if (type === '') throw required('type');
  if (type !== 'web_hook') throw invalid(`Unknown channel type: ${type}`);
  if (address === '') throw required('address');
  const url = URL.parse(address);
  if (url === null) throw invalid(`WebHook callback is no URL: ${address}`);
  // Google takes https only; on this machine there is nobody to listen to plain http on loopback.
  const plainLoopback = url.protocol === 'http:' && LOOPBACK.test(url.hostname);
  if (url.protocol !== 'https:' && !plainLoopback) {
    throw new GoogleError(400, 'push.webhookUrlNotHttps', `WebHook callback must be HTTPS: ${address}`);
  }
  if (url.username !== '' || url.password !== '') throw invalid('WebHook callback must not hold a password');
  return address;
}

/** The parameters that say what is watched, in one order, whatever order they came in. */
function resourceUriOf(call: Call, event: string | undefined): string {
  const uri = new URL(RESOURCE_ROOT);
  for (const name of ['customer', 'domain']) {
    const value = call.query.get(name);
    if (value !== null) uri.searchParams.set(name, value);
  }
  if (event !== undefined) uri.searchParams.set('event', event);
  uri.searchParams.set('alt', 'json');
  return uri.href;
}

const required = (field: string) => badRequest(`Required parameter: ${field}`);
