import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJsonObject } from '../../../functions/wire/http.ts';
import { parseMessageJson, parsePushEnvelope } from '../../../functions/wire/push-envelope.ts';
import { isSealwrightError } from '../../../shared/errors.ts';
import { push } from '../support/pushes.ts';

describe('a Pub/Sub push', () => {
  test('is read as Google sends it', () => {
    expect(parsePushEnvelope(JSON.parse(push({ a: 1 })))).toEqual({
      messageId: 'message-1',
      data: Buffer.from('{"a":1}'),
      deliveryAttempt: 1,
    });
  });

  test('may have its keys in either spelling, and no data', () => {
    expect(parsePushEnvelope({ message: { message_id: '7' } })).toEqual({
      messageId: '7',
      data: Buffer.alloc(0),
    });
  });

  test.each<[string, Readonly<Record<string, unknown>>]>([
    ['without a message', {}],
    ['whose message is a list', { message: [] }],
    ['whose message is nothing', { message: null }],
    ['without an id', { message: { data: 'e30=' } }],
    ['with an empty id', { message: { messageId: '', data: 'e30=' } }],
    ['with an id that is a number', { message: { messageId: 7 } }],
    ['with a NUL in its id', { message: { messageId: '7\u0000' } }],
    ['with data that is no text', { message: { messageId: '7', data: {} } }],
  ])('%s is malformed', (_what, body) => {
    expect(() => parsePushEnvelope(body)).toThrow(
      expect.objectContaining({ kind: 'invalid-input', code: 'malformed-event' }),
    );
  });

  test('made of any JSON is read or refused; nothing else is thrown', () => {
    const body = fc.dictionary(
      fc.constantFrom('message', 'subscription', 'deliveryAttempt', '__proto__'),
      fc.oneof(
        fc.jsonValue(),
        fc.dictionary(
          fc.constantFrom('messageId', 'message_id', 'data', 'attributes', '__proto__'),
          fc.jsonValue(),
        ),
      ),
    );
    fc.assert(
      fc.property(body, (value) => {
        try {
          parseMessageJson(parsePushEnvelope(parseJsonObject(Buffer.from(JSON.stringify(value)))));
        } catch (error) {
          if (!isSealwrightError(error) || error.kind !== 'invalid-input') throw error;
        }
      }),
      { numRuns: 500 },
    );
  });

  test('of any bytes is read or refused; nothing else is thrown', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          parseJsonObject(Buffer.from(bytes));
        } catch (error) {
          if (!isSealwrightError(error) || error.kind !== 'invalid-input') throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the data of a message', () => {
  test.each([['e30='], ['eyJhIjoxfQ=='], ['eyJhIjoxfQ']])('%s is an object', (data) => {
    expect(parseMessageJson(parsePushEnvelope({ message: { messageId: '7', data } }))).toBeTypeOf('object');
  });

  test.each(['', '!!!', 'bnVsbA==', 'W10=', 'MQ==', 'eyJh'])(
    '%j is none, and the message is named',
    (data) => {
      expect(() => parseMessageJson(parsePushEnvelope({ message: { messageId: '7', data } }))).toThrow(
        /^Message 7 /,
      );
    },
  );
});
