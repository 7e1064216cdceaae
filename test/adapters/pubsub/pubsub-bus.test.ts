import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pubsubBus } from '../../../shared/adapters/pubsub/pubsub-bus.ts';
import type { Hint } from '../../../shared/domain/hint.ts';
import type { ErrorKind } from '../../../shared/errors.ts';
import { googleError, type Script, type Scripted, ScriptedServer } from '../scripted-server.ts';
import { failureOf, testIdentity, testRetry } from '../world.ts';

const HINTS = 'projects/acme/topics/directory-events';
const CRLS = 'projects/acme/topics/crl-requests';
const cause = { source: 'watch', eventId: 'e1', event: 'add' } as const;

describe('the bus', () => {
  const server = new ScriptedServer();
  beforeAll(() => server.start());
  afterAll(() => server.stop());

  const published: Script = ({ body }) => ({
    body: { messageIds: (JSON.parse(body).messages as unknown[]).map((_, index) => String(index)) },
  });
  function bus(script: Script | Scripted = published) {
    server.play(typeof script === 'function' ? script : () => script);
    const retry = testRetry();
    const adapter = pubsubBus({
      projectId: 'acme',
      own: testIdentity(),
      endpoints: { rootUrl: server.rootUrl },
      retry: retry.settings,
    });
    return { ...retry, adapter };
  }
  const sent = () =>
    server.asked.map((asked) => ({
      path: asked.path,
      messages: (JSON.parse(asked.body).messages as { data: string; attributes: unknown }[]).map(
        (message) => ({
          ...message,
          data: JSON.parse(Buffer.from(message.data, 'base64').toString('utf8')) as unknown,
        }),
      ),
    }));

  it('carries a hint by id or by address, as JSON, marked as a hint', async () => {
    const { adapter } = bus();
    await adapter.publishHint({ userId: '101', cause });
    await adapter.publishHint({
      address: 'ana@acme.example',
      cause: { ...cause, source: 'audit', actor: 'admin@acme.example' },
    });
    expect(sent()).toEqual([
      {
        path: `/v1/${HINTS}:publish`,
        messages: [{ data: { version: 1, userId: '101', cause }, attributes: { kind: 'hint' } }],
      },
      {
        path: `/v1/${HINTS}:publish`,
        messages: [
          {
            data: {
              version: 1,
              address: 'ana@acme.example',
              cause: { source: 'audit', eventId: 'e1', event: 'add', actor: 'admin@acme.example' },
            },
            attributes: { kind: 'hint' },
          },
        ],
      },
    ]);
    expect(server.asked[0]?.headers.authorization).toBe('Bearer own-token');
  });

  it('carries many hints in few requests, each exactly once and in order', async () => {
    const { adapter } = bus();
    const hints: Hint[] = Array.from({ length: 1201 }, (_, index) => ({ userId: String(index), cause }));
    await adapter.publishHints(hints);
    expect(sent().map((one) => one.messages.length)).toEqual([500, 500, 201]);
    const ids = sent().flatMap((one) => one.messages.map((message) => message.data as { userId: string }));
    expect(ids.map((data) => data.userId)).toEqual(hints.map((_, index) => String(index)));
  });

  it('asks nobody for no hints', async () => {
    await bus().adapter.publishHints([]);
    expect(server.asked).toEqual([]);
  });

  it('carries the wish for a CRL on a topic of its own', async () => {
    await bus().adapter.requestCrl('issuing-1');
    expect(sent()).toEqual([
      {
        path: `/v1/${CRLS}:publish`,
        messages: [{ data: { version: 1, issuerId: 'issuing-1' }, attributes: { kind: 'crl-request' } }],
      },
    ]);
  });

  it('sends again after a transient failure, also after a lost answer', async () => {
    const { adapter, waits } = bus();
    server.playInOrder(googleError(503, 'backendError'), { cut: true }, { body: { messageIds: ['1'] } });
    await adapter.publishHint({ userId: '101', cause });
    expect(server.asked).toHaveLength(3);
    expect(waits).toEqual([500, 1000]);
  });

  it.each<[string, Scripted, ErrorKind, RegExp]>([
    [
      'a missing topic',
      googleError(404, 'notFound', 'Resource not found'),
      'permanent',
      /Create the topic projects\/acme\/topics\/crl-requests/,
    ],
    ['a missing role', googleError(403, 'forbidden'), 'permanent', /roles\/pubsub\.publisher/],
    ['a message it does not take', googleError(400, 'badRequest'), 'permanent', /does not take this message/],
    ['401 twice', googleError(401, 'authError'), 'retryable', /401/],
    ['429', googleError(429, 'rateLimitExceeded'), 'retryable', /429/],
    ['503', googleError(503, 'backendError'), 'retryable', /503/],
    ['a lost answer', { cut: true }, 'retryable', /gave no answer/],
  ])('fails on %s as %s, naming the topic', async (_name, answer, kind, says) => {
    const error = await failureOf(bus(answer).adapter.requestCrl('issuing-1'));
    expect(error).toMatchObject({ kind, code: 'bus-unavailable' });
    expect(error.message).toMatch(says);
    expect(error.message).toContain(CRLS);
  });

  it('passes on how long Google wants to be left alone, from its details', async () => {
    const details = [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '120s' }];
    const answer = {
      status: 429,
      body: { error: { code: 429, message: 'slow', status: 'RESOURCE_EXHAUSTED', details } },
    };
    const error = await failureOf(bus(answer).adapter.requestCrl('issuing-1'));
    expect(error).toMatchObject({ kind: 'retryable', retryAfterMs: 120_000 });
  });
});
