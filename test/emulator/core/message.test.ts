import { describe, expect, it } from 'vitest';
import { GoogleError } from '../../../emulator/core/google-error.ts';
import { checkQuery, readMessage, wantsNumericEnums } from '../../../emulator/core/message.ts';
import type { Call } from '../../../emulator/core/route.ts';

function callOf(body: unknown, query = ''): Call {
  const url = new URL(`http://127.0.0.1/x${query}`);
  return {
    verb: 'POST',
    url,
    params: {},
    query: url.searchParams,
    headers: {},
    body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    caller: undefined,
    signal: new AbortController().signal,
  };
}

const SHAPE = {
  text: 'string',
  flag: 'bool',
  small: 'int32',
  large: 'int64',
  someBytes: 'bytes',
  labels: 'string-map',
  inner: { message: { text: 'string' } },
  list: { repeated: { message: { small: 'int32' } } },
} as const;

describe('reading a JSON request', () => {
  it('takes every kind of field, in camel case or snake case', () => {
    const message = readMessage(
      callOf({
        text: 'x',
        flag: false,
        small: 7,
        large: '9007199254740993',
        some_bytes: 'AP-_',
        labels: { a: 'b', constructor: 'c' },
        inner: { text: 'y' },
        list: [{ small: '8' }],
      }),
      SHAPE,
    );
    expect(message).toEqual({
      text: 'x',
      flag: false,
      small: 7,
      large: '9007199254740993',
      someBytes: Buffer.from([0x00, 0xff, 0xbf]),
      labels: { a: 'b', constructor: 'c' },
      inner: { text: 'y' },
      list: [{ small: 8 }],
    });
  });

  it('takes an empty body for an empty message and null for absent', () => {
    expect(readMessage(callOf(''), SHAPE)).toEqual({});
    expect(readMessage(callOf({ text: null }), SHAPE)).toEqual({});
  });

  it.each([
    ['an unknown field', { colour: 1 }, 'Unknown name "colour": Cannot find field.'],
    ['an inherited name', { toString: 1 }, 'Unknown name "toString": Cannot find field.'],
    [
      'an unknown nested field',
      { inner: { colour: 1 } },
      `Unknown name "colour" at 'inner': Cannot find field.`,
    ],
    ['an unknown field in a list', { list: [{}, { x: 1 }] }, `Unknown name "x" at 'list[1]'`],
    ['a number for text', { text: 1 }, "Invalid value at 'text' (TYPE_STRING)"],
    ['text for a flag', { flag: 'true' }, "Invalid value at 'flag' (TYPE_BOOL)"],
    ['a fraction', { small: 1.5 }, "Invalid value at 'small' (TYPE_INT32)"],
    ['a number outside 32 bits', { small: 2_147_483_648 }, "Invalid value at 'small' (TYPE_INT32)"],
    ['text that is no number', { large: '12x' }, "Invalid value at 'large' (TYPE_INT64)"],
    ['a number outside 64 bits', { large: '9223372036854775808' }, "Invalid value at 'large' (TYPE_INT64)"],
    ['text that is no base64', { someBytes: 'a!' }, "Invalid value at 'someBytes' (TYPE_BYTES)"],
    ['a list for a message', { inner: [] }, "Invalid value at 'inner'"],
    ['a message for a list', { list: {} }, "Invalid value at 'list'"],
    ['a number in a map of text', { labels: { a: 1 } }, "Invalid value at 'labels[a]'"],
  ])('refuses %s', (_what, body, sentence) => {
    expect(() => readMessage(callOf(body), SHAPE)).toThrow(GoogleError);
    expect(() => readMessage(callOf(body), SHAPE)).toThrow(sentence);
  });

  it('never shows the value it refuses', () => {
    for (const body of [{ someBytes: 's3cr3t!' }, { text: { key: 's3cr3t' } }, { small: 's3cr3t' }]) {
      try {
        readMessage(callOf(body), SHAPE);
        expect.unreachable();
      } catch (error) {
        expect(JSON.stringify((error as GoogleError).body())).not.toContain('s3cr3t');
      }
    }
  });

  it('lets through the query parameters every method has, those named, and no other', () => {
    expect(() =>
      checkQuery(callOf('', '?$alt=json&prettyPrint=false&pageSize=3'), ['pageSize']),
    ).not.toThrow();
    expect(() => checkQuery(callOf('', '?pageSize=3'))).toThrow('Unknown name "pageSize"');
  });

  it.each([
    ['?$alt=json%3Benum-encoding=int', true],
    ['?alt=json;enum-encoding=int', true],
    ['?$alt=json', false],
    ['', false],
  ])('with %j answers enums as numbers: %s', (query, numeric) => {
    expect(wantsNumericEnums(callOf('', query))).toBe(numeric);
  });
});
