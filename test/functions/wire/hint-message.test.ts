import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDirectoryEvent } from '../../../functions/wire/hint-message.ts';
import type { PushedMessage } from '../../../functions/wire/push-envelope.ts';
import type { HintSource } from '../../../shared/domain/hint.ts';
import { isSealwrightError } from '../../../shared/errors.ts';

const CAUSE = { source: 'watch', eventId: 'channel-1:42', event: 'update' };

const message = (data: unknown): PushedMessage => ({
  messageId: 'message-1',
  data: Buffer.from(typeof data === 'string' ? data : JSON.stringify(data)),
});

describe('a message on directory-events that is a hint', () => {
  test.each<[string, object]>([
    ['a user id', { userId: '111222333' }],
    ['an address', { address: 'ana@acme.example' }],
  ])('names %s and its cause', (_what, whom) => {
    const actor = { ...CAUSE, actor: 'admin@acme.example' };
    expect(parseDirectoryEvent(message({ version: 1, ...whom, cause: actor }))).toEqual({
      hints: [{ ...whom, cause: actor }],
      units: [],
      ignored: [],
    });
  });

  test('has its address in lower case', () => {
    const { hints } = parseDirectoryEvent(message({ version: 1, address: 'Ana@Acme.Example', cause: CAUSE }));
    expect(hints).toMatchObject([{ address: 'ana@acme.example' }]);
  });

  test.each<HintSource>(['watch', 'audit', 'sweep', 'due', 'admin'])('may come from %s', (source) => {
    const { hints } = parseDirectoryEvent(message({ version: 1, userId: '1', cause: { ...CAUSE, source } }));
    expect(hints[0]?.cause.source).toBe(source);
  });

  test('may have fields that a newer sender added', () => {
    const sent = { version: 1, userId: '1', cause: { ...CAUSE, more: 1 }, more: 2 };
    expect(parseDirectoryEvent(message(sent)).hints).toEqual([{ userId: '1', cause: CAUSE }]);
  });

  test.each<[string, unknown]>([
    ['no JSON', 'hello'],
    ['no data', ''],
    ['a list', []],
    ['nothing', null],
    ['another version', { version: 2, userId: '1', cause: CAUSE }],
    ['no version', { userId: '1', cause: CAUSE }],
    ['no user', { version: 1, cause: CAUSE }],
    ['a user id that is a number', { version: 1, userId: 1, cause: CAUSE }],
    ['a user id that is an address', { version: 1, userId: 'ana@acme.example', cause: CAUSE }],
    ['an address that is none', { version: 1, address: 'ana', cause: CAUSE }],
    ['an address with a NUL', { version: 1, address: 'ana\u0000@acme.example', cause: CAUSE }],
    ['no cause', { version: 1, userId: '1' }],
    ['a cause of an unknown source', { version: 1, userId: '1', cause: { ...CAUSE, source: 'rumour' } }],
    [
      'a cause whose source is a name every object has',
      { version: 1, userId: '1', cause: { ...CAUSE, source: 'constructor' } },
    ],
    ['a cause without an event', { version: 1, userId: '1', cause: { source: 'watch', eventId: 'x' } }],
    ['a cause with a NUL', { version: 1, userId: '1', cause: { ...CAUSE, event: '\u0000' } }],
  ])('and holds %s is not understood, and the message is named', (_what, data) => {
    expect(() => parseDirectoryEvent(message(data))).toThrow(
      expect.objectContaining({
        kind: 'invalid-input',
        code: 'malformed-event',
        message: expect.stringContaining('message-1'),
      }),
    );
  });
});

describe('any message', () => {
  /** JSON that looks like what is expected, in places. */
  const nearly = fc.record(
    {
      version: fc.constantFrom(1, 2, '1'),
      userId: fc.oneof(fc.string(), fc.constant('1'), fc.jsonValue()),
      address: fc.oneof(fc.emailAddress(), fc.string({ unit: 'binary' })),
      cause: fc.oneof(
        fc.jsonValue(),
        fc.record({
          source: fc.constantFrom('watch', 'x'),
          eventId: fc.string({ unit: 'binary' }),
          event: fc.string(),
        }),
      ),
      protoPayload: fc.jsonValue(),
      insertId: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  const auditLike = fc.record({
    insertId: fc.oneof(fc.string({ unit: 'binary' }), fc.integer()),
    protoPayload: fc.record({
      authenticationInfo: fc.oneof(
        fc.jsonValue(),
        fc.record({ principalEmail: fc.string({ unit: 'binary' }) }),
      ),
      metadata: fc.record({
        event: fc.oneof(
          fc.jsonValue(),
          fc.array(
            fc.record({
              eventName: fc.oneof(
                fc.constantFrom('CREATE_USER', 'RENAME_USER'),
                fc.string({ unit: 'binary' }),
              ),
              parameter: fc.oneof(
                fc.jsonValue(),
                fc.array(
                  fc.record({
                    name: fc.constantFrom('USER_EMAIL', 'NEW_VALUE', 'x'),
                    value: fc.oneof(fc.emailAddress(), fc.string({ unit: 'binary' }), fc.jsonValue()),
                  }),
                ),
              ),
            }),
          ),
        ),
      }),
    }),
  });

  test('is understood, or refused as what can never be understood; nothing else is thrown', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), nearly, auditLike, fc.string()), (data) => {
        try {
          const { hints, ignored } = parseDirectoryEvent(message(data));
          for (const hint of hints) {
            if ('userId' in hint) expect(hint.userId).toMatch(/^\d{1,32}$/);
            else expect(hint.address).toContain('@');
          }
          // PostgreSQL keeps no NUL, and all of this may be written into the audit trail.
          expect(JSON.stringify([hints, ignored])).not.toContain('\\u0000');
        } catch (error) {
          if (!isSealwrightError(error)) throw error;
          expect(error.kind).toBe('invalid-input');
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
