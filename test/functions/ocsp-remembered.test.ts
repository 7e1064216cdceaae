import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createOcsp } from '../../functions/ocsp.ts';
import type { HttpAnswer, HttpHandler } from '../../functions/wire/http.ts';
import { encodeOcspRequest, issuerHashes } from '../../shared/pki/ocsp.ts';
import { readOcspResponse } from '../../shared/pki/ocsp-reader.ts';
import { keptLog } from '../support/fakes/log.ts';
import { type OcspStand, ocspStand } from '../support/ocsp-stand.ts';

const SERIAL = '4200000000000000000000000000000000aa';

let stand: OcspStand;
let nowMs: number;
let asked: number;
let handler: HttpHandler;

beforeAll(async () => {
  stand = await ocspStand({ now: new Date('2027-03-01T09:00:00Z') });
});
beforeEach(async () => {
  nowMs = stand.now.getTime();
  asked = 0;
  handler = createOcsp({
    clock: { now: () => new Date(nowMs) },
    log: keptLog(),
    answers: {
      ocspIssuers: () => stand.answers.ocspIssuers(),
      readOcspAnswer: (...which) => {
        asked += 1;
        return stand.answers.readOcspAnswer(...which);
      },
    },
  });
});

const question = () =>
  encodeOcspRequest('sha256', issuerHashes(stand.authority.issuing.certificateDer, 'sha256'), SERIAL);

async function ask(method: 'GET' | 'POST', headers: Record<string, string> = {}): Promise<HttpAnswer> {
  const der = question();
  return await handler({
    method,
    path: method === 'POST' ? '/ocsp' : `/ocsp/${encodeURIComponent(Buffer.from(der).toString('base64'))}`,
    query: new URLSearchParams(),
    headers,
    body: method === 'POST' ? Buffer.from(der) : Buffer.alloc(0),
  });
}
const said = ({ body }: HttpAnswer) =>
  body instanceof Uint8Array ? readOcspResponse(body).basic?.data.answers[0]?.status : undefined;

describe.each(['GET', 'POST'] as const)('a question over %s that came before', (method) => {
  beforeEach(() => stand.answer(SERIAL, { kind: 'good' }));

  it('has the same answer, for which the ledger is not asked, for five seconds', async () => {
    const first = await ask(method);
    nowMs += 4_999;
    expect(await ask(method)).toEqual(first);
    expect(asked).toBe(1);
    nowMs += 1;
    await ask(method);
    expect(asked).toBe(2);
  });

  it('is told of a revocation five seconds later at the latest, however often it comes', async () => {
    for (let second = 0; second < 4; second += 1) {
      expect(said(await ask(method))).toBe('good');
      nowMs += 1_000;
    }
    await stand.answer(SERIAL, { kind: 'revoked', revokedAt: stand.now, reason: 'keyCompromise' });
    nowMs += 1_000;
    expect(said(await ask(method))).toBe('revoked');
  });

  it('is asked anew when the clock was set back', async () => {
    await ask(method);
    nowMs -= 1;
    await ask(method);
    nowMs -= 60_000;
    await ask(method);
    expect(asked).toBe(3);
  });

  it('is never answered past the end of the answer, and near it max-age goes down by the second', async () => {
    const endMs = stand.nextUpdate.getTime();
    nowMs = endMs - 3_000;
    expect((await ask(method)).headers?.['cache-control']).toMatch(/^max-age=3,/);
    nowMs += 1_000;
    expect((await ask(method)).headers?.['cache-control']).toMatch(/^max-age=2,/);
    nowMs = endMs;
    expect(said(await ask(method))).toBeUndefined();
  });

  it('is answered 304 where that is asked for, over GET only', async () => {
    const first = await ask(method);
    const again = await ask(method, { 'if-none-match': first.headers?.['etag'] ?? '' });
    expect([again.status, again.headers?.['content-length']]).toEqual(
      method === 'GET' ? [304, undefined] : [200, first.headers?.['content-length']],
    );
  });
});

describe('a question about an issuer that the responder does not know', () => {
  let isRecorded: boolean;
  let listed: number;
  beforeEach(async () => {
    await stand.answer(SERIAL, { kind: 'good' });
    [isRecorded, listed] = [false, 0];
    handler = createOcsp({
      clock: { now: () => new Date(nowMs) },
      log: keptLog(),
      answers: {
        ocspIssuers: async () => {
          listed += 1;
          return isRecorded ? await stand.answers.ocspIssuers() : [];
        },
        readOcspAnswer: (...which) => stand.answers.readOcspAnswer(...which),
      },
    });
  });

  it('is answered a second after the issuer was recorded, at the latest', async () => {
    expect(said(await ask('POST'))).toBeUndefined();
    isRecorded = true;
    nowMs += 999;
    expect(said(await ask('POST'))).toBeUndefined();
    nowMs += 1;
    expect(said(await ask('POST'))).toBe('good');
  });

  it('has the ledger asked for its issuers once a second, however often it comes', async () => {
    for (let tenth = 0; tenth < 30; tenth += 1) {
      await Promise.all([ask('POST'), ask('GET')]);
      nowMs += 100;
    }
    expect(listed).toBe(3);
  });
});
