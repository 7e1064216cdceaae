import { describe, expect, it } from 'vitest';
import {
  cleanText,
  GoogleCallError,
  isCredentialFailure,
  readFailure,
  retryAfter,
} from '../../../shared/adapters/google/call-error.ts';

const NOW = new Date('2027-01-15T09:00:00Z');
const read = (thrown: unknown) => readFailure('gmail.test', thrown, NOW);
const thrown = (properties: Record<string, unknown>) => Object.assign(new Error('vendor words'), properties);

describe('reading what a Google client threw', () => {
  it("takes status, reason and text from Google's REST error", () => {
    const error = thrown({
      config: {},
      response: {
        status: 403,
        headers: new Headers({ 'retry-after': '7' }),
        data: {
          error: {
            code: 403,
            message: 'Delegation denied for ana@acme.example',
            errors: [{ domain: 'global', reason: 'forbidden' }],
            status: 'PERMISSION_DENIED',
            details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'SERVICE_DISABLED' }],
          },
        },
      },
    });
    expect(read(error)).toEqual({
      method: 'gmail.test',
      reached: 'answered',
      httpStatus: 403,
      status: 'PERMISSION_DENIED',
      reasons: ['forbidden', 'SERVICE_DISABLED'],
      text: 'Delegation denied for ana@acme.example',
      retryAfterMs: 7000,
    });
  });

  it('takes the OAuth error code of the token endpoint as a reason', () => {
    const error = thrown({
      config: {},
      response: {
        status: 400,
        headers: new Headers(),
        data: { error: 'invalid_grant', error_description: 'Invalid email or User ID' },
      },
    });
    expect(read(error)).toMatchObject({
      httpStatus: 400,
      reasons: ['invalid_grant'],
      text: 'Invalid email or User ID',
    });
  });

  it('reads the body where it is text, as the Cloud Storage client keeps it', () => {
    const error = thrown({
      code: 412,
      errors: [{ reason: 'conditionNotMet' }],
      response: {
        statusCode: 412,
        headers: { 'retry-after': '2' },
        body: '{"error":{"message":"no match"}}',
      },
    });
    expect(read(error)).toMatchObject({
      httpStatus: 412,
      reasons: ['conditionNotMet'],
      text: 'no match',
      retryAfterMs: 2000,
    });
  });

  it.each([
    [3, 400, 'INVALID_ARGUMENT'],
    [4, 504, 'DEADLINE_EXCEEDED'],
    [5, 404, 'NOT_FOUND'],
    [6, 409, 'ALREADY_EXISTS'],
    [7, 403, 'PERMISSION_DENIED'],
    [8, 429, 'RESOURCE_EXHAUSTED'],
    [9, 400, 'FAILED_PRECONDITION'],
    [10, 409, 'ABORTED'],
    [13, 500, 'INTERNAL'],
    [14, 503, 'UNAVAILABLE'],
    [16, 401, 'UNAUTHENTICATED'],
  ])('translates the gRPC code %i to HTTP %i and %s', (code, httpStatus, status) => {
    expect(read(thrown({ code, details: 'gRPC words' }))).toMatchObject({
      reached: 'answered',
      httpStatus,
      status,
      text: 'gRPC words',
    });
  });

  it('takes an HTTP status for what it is where a client puts one into the same field', () => {
    expect(read(thrown({ code: 404 }))).toMatchObject({ httpStatus: 404 });
    expect(read(thrown({ code: '404' }))).toMatchObject({ httpStatus: 404 });
  });

  it('takes the wait from google.rpc.RetryInfo, as JSON and as decoded', () => {
    const json = thrown({
      config: {},
      response: { status: 429, data: { error: { message: 'x', details: [{ retryDelay: '3.5s' }] } } },
    });
    expect(read(json)?.retryAfterMs).toBe(3500);
    const decoded = thrown({
      code: 8,
      statusDetails: [{ retryDelay: { seconds: '2', nanos: 500_000_000 } }],
    });
    expect(read(decoded)?.retryAfterMs).toBe(2500);
  });

  /** Gmail's answer to a mailbox that has spent its own quota: no header, and the instant in the text. */
  const userRateLimit = (message: string, headers: Record<string, string> = {}) =>
    thrown({
      config: {},
      response: {
        status: 429,
        headers: new Headers(headers),
        data: {
          error: {
            code: 429,
            message,
            errors: [{ message, domain: 'global', reason: 'rateLimitExceeded' }],
            status: 'RESOURCE_EXHAUSTED',
          },
        },
      },
    });

  it.each([
    ['in a quarter of an hour', 'User-rate limit exceeded.  Retry after 2027-01-15T09:15:23.688Z', 923_688],
    [
      'with what it was for',
      'User-rate limit exceeded.  Retry after 2027-01-15T09:01:00Z (Mail sending)',
      60_000,
    ],
    ['that has passed', 'User-rate limit exceeded.  Retry after 2023-03-07T18:18:23.688Z', undefined],
    ['beyond a day, which is taken for a day', 'Retry after 2127-01-15T09:00:00.000Z', 86_400_000],
    ['that is no date', 'Retry after 2027-13-45T99:00:00.000Z', undefined],
    ['in words', 'Retry after a while', undefined],
  ])('takes the wait from an instant in the text: %s', (_which, message, milliseconds) => {
    expect(read(userRateLimit(message))?.retryAfterMs).toBe(milliseconds);
  });

  it('takes the header before the text', () => {
    const message = 'User-rate limit exceeded.  Retry after 2027-01-15T09:15:23.688Z';
    expect(read(userRateLimit(message, { 'retry-after': '7' }))?.retryAfterMs).toBe(7_000);
  });

  it('reads the refusal of a limit per user, which says no wait', () => {
    const message =
      "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service 'gmail.googleapis.com' for consumer 'project_number:1'.";
    const error = thrown({
      config: {},
      response: {
        status: 403,
        headers: new Headers(),
        data: {
          error: {
            code: 403,
            message,
            errors: [{ message, domain: 'usageLimits', reason: 'rateLimitExceeded' }],
          },
        },
      },
    });
    expect(read(error)).toEqual({
      method: 'gmail.test',
      reached: 'answered',
      httpStatus: 403,
      reasons: ['rateLimitExceeded'],
      text: message,
    });
  });

  it.each(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN'])('knows that with %s nothing was sent', (code) => {
    expect(read(thrown({ code }))).toMatchObject({ reached: 'never' });
    // google-gax calls every lost connection UNAVAILABLE and keeps the reason as the cause.
    const wrapped = thrown({ code: 14, cause: thrown({ cause: thrown({ code }) }) });
    expect(read(wrapped)).toMatchObject({ reached: 'never' });
  });

  it.each(['ECONNRESET', 'ETIMEDOUT', 'ERR_STREAM_PREMATURE_CLOSE'])(
    'knows that with %s the request may have had its effect',
    (code) => {
      expect(read(thrown({ code }))).toMatchObject({ reached: 'maybe', reasons: [code] });
    },
  );

  it('knows a request that was given up after its time limit', () => {
    expect(read(thrown({ name: 'AbortError' }))).toMatchObject({ reached: 'maybe' });
    expect(read(new DOMException('too late', 'TimeoutError'))).toMatchObject({ reached: 'maybe' });
  });

  it('leaves what is no failed call alone, so that a bug stays a bug', () => {
    expect(read(new TypeError('x is not a function'))).toBeUndefined();
    expect(read(new Error('Missing required parameters: userKey'))).toBeUndefined();
    expect(read(thrown({ code: 'ERR_INVALID_ARG_TYPE' }))).toBeUndefined();
    expect(read('text')).toBeUndefined();
  });

  it('keeps no cause, so that no header and no body can follow it into a log', () => {
    const error = thrown({
      config: { headers: { authorization: 'Bearer secret-token' }, data: 'wrapped-key' },
      response: { status: 500, data: 'wrapped-key' },
    });
    const failure = read(error);
    expect(failure).toBeDefined();
    const kept = failure === undefined ? undefined : new GoogleCallError(failure);
    expect(kept?.cause).toBeUndefined();
    expect(JSON.stringify([kept, kept?.message, kept?.stack])).not.toMatch(/secret-token|wrapped-key/);
  });

  it('tells failures of getting a token from failures of the call', () => {
    const of = (method: string) =>
      isCredentialFailure({ method, reached: 'answered', reasons: [], text: '' });
    expect(
      ['metadata.token', 'oauth2.token', 'iamcredentials.projects.serviceAccounts.signJwt'].map(of),
    ).toEqual([true, true, true]);
    expect(of('gmail.users.settings.cse.keypairs.list')).toBe(false);
  });
});

describe("Google's words in our messages", () => {
  it('lose tokens, certificates, long base64 and addresses of requests', () => {
    const token = `eyJhbGciOiJSUzI1NiJ9.${'A'.repeat(200)}.${'B'.repeat(300)}`;
    expect(cleanText(`bad ${token} end`)).toBe('bad (token) end');
    expect(cleanText('with ya29.a0AfH6SMB-x_y.z end')).toBe('with (token) end');
    expect(cleanText('-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE----- end')).toBe('(PEM) end');
    expect(cleanText(`decoding failed for "${'Q'.repeat(9000)}"`)).toBe('decoding failed for "(data)"');
    expect(cleanText('request to http://h/p?pageToken=x failed, reason: socket hang up')).toBe(
      'socket hang up',
    );
  });

  it('keep ids, fit on a line and end after 400 characters', () => {
    const id = `ANe1Bm${'x-_9'.repeat(22)}`;
    expect(cleanText(`key pair ${id}\n  not found`)).toBe(`key pair ${id} not found`);
    expect(cleanText('word '.repeat(200))).toHaveLength(400);
  });
});

describe('Retry-After', () => {
  it.each([
    ['120', 120_000],
    [' 0 ', 0],
    ['Fri, 15 Jan 2027 09:00:30 GMT', 30_000],
    ['Fri, 15 Jan 2027 08:00:00 GMT', 0],
    ['soon', undefined],
    ['-5', undefined],
    ['1.5', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%j means %j ms', (value, milliseconds) => {
    expect(retryAfter(value, NOW)).toBe(milliseconds);
  });
});
