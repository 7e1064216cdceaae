import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createOcsp } from '../../functions/ocsp.ts';
import { retryable } from '../../shared/errors.ts';
import { sequence } from '../../shared/pki/der.ts';
import { encodeCertId, encodeOcspRequest, issuerHashes, type OcspStatus } from '../../shared/pki/ocsp.ts';
import { readOcspResponse } from '../../shared/pki/ocsp-reader.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { casesOf } from '../pki/outside-cases.ts';
import { installed, tool } from '../pki/tools.ts';
import { type KeptLog, keptLog } from '../support/fakes/log.ts';
import { type OcspStand, ocspStand } from '../support/ocsp-stand.ts';
import { type Served, serveHandler } from './support/served.ts';

const cases = casesOf('test/functions/ocsp.test.ts');

const GOOD: OcspStatus = { kind: 'good' };
const ERRORS = [
  'successful',
  'malformedRequest',
  'internalError',
  'tryLater',
  '',
  'sigRequired',
  'unauthorized',
];
const NONCE = '1.3.6.1.5.5.7.48.1.2';

let stand: OcspStand;
let served: Served;
let log: KeptLog;
let good: { readonly serialHex: string; readonly leafDer: Uint8Array };
let revoked: typeof good;
let ledgerIsAway = false;

beforeAll(async () => {
  // The machine's own clock, because other people's tools go by it.
  const now = new Date();
  log = keptLog();
  // The address of the server goes into the certificates, so the server is there before the CA is.
  let answers: OcspStand['answers'] | undefined;
  const needed = () => {
    if (answers === undefined) throw new Error('The CA is not there yet.');
    if (ledgerIsAway) throw retryable('ledger-unavailable', 'The ledger is away.');
    return answers;
  };
  served = await serveHandler(
    createOcsp({
      clock: { now: () => new Date() },
      log,
      answers: {
        ocspIssuers: async () => await needed().ocspIssuers(),
        readOcspAnswer: async (issuerId, serialHex, hash) =>
          await needed().readOcspAnswer(issuerId, serialHex, hash),
      },
    }),
    log,
  );
  stand = await ocspStand({ now, urlBase: served.url });
  answers = stand.answers;
  good = await stand.add(GOOD, `${served.url}/ocsp`);
  revoked = await stand.add(
    { kind: 'revoked', revokedAt: new Date(now.getTime() - 60_000), reason: 'keyCompromise' },
    `${served.url}/ocsp`,
  );
});
afterAll(() => served.close());
beforeEach(() => {
  ledgerIsAway = false;
  log.lines.length = 0;
});

const requestFor = (serialHex: string, hash: 'sha1' | 'sha256' = 'sha256') =>
  encodeOcspRequest(hash, issuerHashes(stand.authority.issuing.certificateDer, hash), serialHex);
const encoded = (request: Uint8Array) => encodeURIComponent(Buffer.from(request).toString('base64'));

interface HttpReply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

async function send(path: string, init: RequestInit = {}): Promise<HttpReply> {
  const response = await fetch(`${served.url}${path}`, init);
  return {
    status: response.status,
    headers: response.headers,
    body: Buffer.from(await response.arrayBuffer()),
  };
}
const post = (body: Uint8Array, path = '/ocsp') =>
  send(path, {
    method: 'POST',
    body: Buffer.from(body),
    headers: { 'content-type': 'application/ocsp-request' },
  });

function said({ body }: HttpReply): string {
  const { responseStatus, basic } = readOcspResponse(body);
  return basic === undefined ? (ERRORS[responseStatus] ?? '?') : (basic.data.answers[0]?.status ?? '?');
}

describe('ocsp', () => {
  it.each(['sha1', 'sha256'] as const)(
    'answers GET and POST, at the root and below /ocsp, asked with %s',
    async (hash) => {
      const request = requestFor(good.serialHex, hash);
      for (const path of ['/', '/ocsp', '/ocsp/']) expect(said(await post(request, path))).toBe('good');
      for (const prefix of ['/', '/ocsp/'])
        expect(said(await send(`${prefix}${encoded(request)}`))).toBe('good');
      expect(said(await post(requestFor(revoked.serialHex, hash)))).toBe('revoked');
    },
  );

  it('takes a GET whose base64 came with bare slashes, pluses and equals signs', async () => {
    // A serial whose request has all of them in its base64.
    const serial = Array.from({ length: 5_000 }, (_, index) =>
      (0x7f_00_00_00 + index * 77).toString(16),
    ).find((hex) => /[/].*[+]|[+].*[/]/.test(Buffer.from(requestFor(hex)).toString('base64')));
    if (serial === undefined) throw new Error('No request has both characters.');
    await stand.answer(serial, GOOD);
    expect(said(await send(`/ocsp/${Buffer.from(requestFor(serial)).toString('base64')}`))).toBe('good');
  });

  it('sends the headers of RFC 9919: when it was made, when it ends, its digest, and a minute of caching', async () => {
    const { status, headers, body } = await send(`/ocsp/${encoded(requestFor(good.serialHex))}`);
    expect(status).toBe(200);
    const second = (date: Date) => new Date(Math.floor(date.getTime() / 1000) * 1000).toUTCString();
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'application/ocsp-response',
      'content-length': String(body.length),
      etag: `"${createHash('sha256').update(body).digest('hex')}"`,
      'last-modified': second(stand.now),
      expires: second(stand.nextUpdate),
      'cache-control': 'max-age=60, public, no-transform, must-revalidate',
    });
  });

  it('answers 304 to whoever has the same answer already, by its tag or its time', async () => {
    const path = `/ocsp/${encoded(requestFor(good.serialHex))}`;
    const { headers } = await send(path);
    const ask = (more: Record<string, string>) => send(path, { headers: more });
    expect(await ask({ 'if-none-match': headers.get('etag') ?? '' })).toMatchObject({
      status: 304,
      body: Buffer.alloc(0),
    });
    expect(await ask({ 'if-modified-since': headers.get('last-modified') ?? '' })).toMatchObject({
      status: 304,
    });
    expect(await ask({ 'if-none-match': '"another"' })).toMatchObject({ status: 200 });
    expect(await ask({ 'if-modified-since': new Date(0).toUTCString() })).toMatchObject({ status: 200 });
  });

  it('answers HEAD like GET without the answer itself', async () => {
    const { status, headers, body } = await send(`/ocsp/${encoded(requestFor(good.serialHex))}`, {
      method: 'HEAD',
    });
    expect([status, body.length]).toEqual([200, 0]);
    expect(Number(headers.get('content-length'))).toBeGreaterThan(1000);
  });

  it('refuses other methods', async () => {
    expect(await send('/ocsp', { method: 'PUT', body: 'x' })).toMatchObject({ status: 405 });
  });

  it.each([
    ['nothing', new Uint8Array()],
    ['text', Buffer.from('GET me a status')],
    ['an empty SEQUENCE', Buffer.from('3000', 'hex')],
    ['a request that asks nothing', sequence(sequence(sequence()))],
    ['BER with an indefinite length', Buffer.from('30803080308000000000000000', 'hex')],
    ['more than 8 kB', Buffer.alloc(8193, 0x30)],
    ['half a megabyte', Buffer.alloc(500_000, 0x30)],
  ])('calls %s malformed, over POST and over GET, and lets nobody keep that', async (_name, body) => {
    const reply = await post(body);
    expect([reply.status, said(reply)]).toEqual([200, 'malformedRequest']);
    expect(reply.headers.get('cache-control')).toBe('no-cache, no-store, max-age=0');
    if (body.length < 9000) expect(said(await send(`/ocsp/${encoded(body)}`))).toBe('malformedRequest');
  });

  it.each(['%', '%zz', '!!!', 'MEUw*', 'MDw=MDw='])('calls the path /ocsp/%s malformed', async (path) => {
    expect(said(await send(`/ocsp/${path}`))).toBe('malformedRequest');
  });

  it('calls a request with a trailing byte malformed', async () => {
    expect(said(await post(Buffer.concat([requestFor(good.serialHex), Buffer.of(0)])))).toBe(
      'malformedRequest',
    );
  });

  it('is unauthorized about a serial never issued, and that is never kept', async () => {
    const reply = await post(requestFor('7f00000000000000000000000000000000aa'));
    expect(said(reply)).toBe('unauthorized');
    expect(reply.headers.get('cache-control')).toContain('no-store');
  });

  it.each([
    ['without octets', 0, 'malformedRequest'],
    ['of 1 octet', 1, 'good'],
    ['of 32 octets', 32, 'good'],
    ['of 128 octets', 128, 'good'],
    ['of 129 octets', 129, 'malformedRequest'],
  ])('with a nonce %s (RFC 9654) answers %s: %s, and never with a nonce', async (_name, octets, expected) => {
    const { contextConstructed, octetString, oid } = await import('../../shared/pki/der.ts');
    const hashes = issuerHashes(stand.authority.issuing.certificateDer, 'sha256');
    const nonce = sequence(oid(NONCE), octetString(octetString(Buffer.alloc(octets, 7))));
    const request = sequence(
      sequence(
        sequence(sequence(encodeCertId('sha256', hashes, good.serialHex))),
        contextConstructed(2, sequence(nonce)),
      ),
    );
    const reply = await post(request);
    expect(said(reply)).toBe(expected);
    if (expected === 'good') expect(readOcspResponse(reply.body).basic?.data.hasExtensions).toBe(false);
  });

  it('without its ledger says tryLater, tells the log, and answers again afterwards', async () => {
    ledgerIsAway = true;
    const serial = '7e00000000000000000000000000000000aa';
    await stand.answer(serial, GOOD);
    const reply = await post(requestFor(serial));
    expect(said(reply)).toBe('tryLater');
    expect(reply.headers.get('retry-after')).toBe('5');
    expect(log.of('ocsp-failed')).toHaveLength(1);
    ledgerIsAway = false;
    expect(said(await post(requestFor(serial)))).toBe('good');
  });
});

describe('other people’s tools', () => {
  const files = () => ({
    'root.pem': derToPem('CERTIFICATE', stand.authority.root.certificateDer),
    'issuing.pem': derToPem('CERTIFICATE', stand.authority.issuing.certificateDer),
    'good.pem': derToPem('CERTIFICATE', good.leafDer),
    'revoked.pem': derToPem('CERTIFICATE', revoked.leafDer),
  });
  const run = (box: ReturnType<typeof tool>, command: string, ...args: readonly string[]) =>
    box.runAside(command, ...args);

  it.runIf(installed('openssl')).each(['-sha1', '-sha256'])(
    'openssl ocsp %s takes the good and refuses the revoked, over POST',
    async (digest) => {
      const box = tool(files());
      for (const [name, status] of [
        ['good', 'good'],
        ['revoked', 'revoked'],
      ] as const) {
        const { status: exit, text } = await run(
          box,
          'openssl',
          'ocsp',
          digest,
          '-issuer',
          'issuing.pem',
          '-cert',
          `${name}.pem`,
          '-CAfile',
          'root.pem',
          '-verify_other',
          'issuing.pem',
          '-url',
          `${served.url}/ocsp`,
        );
        expect(text).toContain('Response verify OK');
        expect(text).toContain(`${name}.pem: ${status}`);
        expect(exit).toBe(0);
      }
    },
  );

  it.runIf(installed('openssl')).each(['-sha1', '-sha256'])(
    'openssl judges what GET gives for its own question made with %s',
    async (digest) => {
      const box = tool(files());
      await run(
        box,
        'openssl',
        'ocsp',
        '-no_nonce',
        digest,
        '-issuer',
        'issuing.pem',
        '-cert',
        'revoked.pem',
        '-reqout',
        'ask.der',
      );
      const { body } = await send(`/ocsp/${encoded(box.read('ask.der'))}`);
      const judge = tool({ ...files(), 'answer.der': body });
      const { text } = await run(
        judge,
        'openssl',
        'ocsp',
        digest,
        '-issuer',
        'issuing.pem',
        '-cert',
        'revoked.pem',
        '-respin',
        'answer.der',
        '-CAfile',
        'root.pem',
        '-verify_other',
        'issuing.pem',
      );
      expect(text).toContain('Response verify OK');
      expect(text).toMatch(/revoked\.pem: revoked[\s\S]*Reason: keyCompromise/);
    },
  );

  it.runIf(installed('openssl'))(cases.titled('OpenSSL, OCSP'), async () => {
    const { body } = await post(requestFor(good.serialHex));
    const changed = Buffer.from(body);
    const at = changed.indexOf(Buffer.from(good.serialHex, 'hex'));
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    const judge = tool({ ...files(), 'changed.der': changed, 'answer.der': body });
    const verify = (answer: string, trust: string) =>
      run(
        judge,
        'openssl',
        'ocsp',
        '-sha256',
        '-issuer',
        'issuing.pem',
        '-cert',
        'good.pem',
        '-respin',
        answer,
        '-CAfile',
        trust,
      );
    expect((await verify('changed.der', 'root.pem')).text).toContain('Response Verify Failure');
    expect((await verify('answer.der', 'good.pem')).text).toContain('Response Verify Failure');
  });

  it.runIf(installed('ocsptool'))(cases.titled('GnuTLS, OCSP'), async () => {
    const box = tool(files());
    for (const [name, status] of [
      ['good', 'good'],
      ['revoked', 'revoked'],
    ] as const) {
      const { text } = await run(
        box,
        'ocsptool',
        `--ask=${served.url}/ocsp`,
        '--load-issuer',
        'issuing.pem',
        '--load-cert',
        `${name}.pem`,
        '--load-trust',
        'issuing.pem',
      );
      expect(text).toContain(`Certificate Status: ${status}`);
      expect(text).toContain('Verifying OCSP Response: Success');
    }
  });

  it.runIf(installed('ocsptool'))('GnuTLS ocsptool refuses an answer of somebody else’s CA', async () => {
    const { body } = await post(requestFor(good.serialHex));
    const box = tool({ ...files(), 'answer.der': body });
    const { text } = await run(
      box,
      'ocsptool',
      '--verify-response',
      '--load-response',
      'answer.der',
      '--load-trust',
      'good.pem',
    );
    expect(text).toContain('Verifying OCSP Response: Failure');
  });

  it.runIf(installed('gpgsm') && installed('dirmngr') && installed('openssl'))(
    cases.titled('gpgsm, OCSP'),
    async (context) => {
      if (!/gpgsm \(GnuPG\) 2\.2\./.test(tool({}).run('gpgsm', '--version').text))
        context.skip('a newer gpgsm');
      const box = tool(files());
      box.run('mkdir', '-m', '700', 'home');
      const print = box.run('openssl', 'x509', '-in', 'root.pem', '-noout', '-fingerprint', '-sha1').text;
      box.write('home/trustlist.txt', `${/=([0-9A-F:]+)/.exec(print)?.[1]} S relax\n`);
      box.write('home/dirmngr.conf', 'allow-ocsp\nlog-file dirmngr.log\nverbose\n');
      onTestFinished(() => void box.run('gpgconf', '--homedir', 'home', '--kill', 'all'));
      const gpgsm = (...words: readonly string[]) =>
        run(box, 'gpgsm', '--homedir', 'home', '--batch', ...words);
      for (const name of ['root', 'issuing', 'good', 'revoked'])
        await gpgsm('--disable-crl-checks', '--import', `${name}.pem`);
      const { text } = await gpgsm('--enable-ocsp', '--list-keys', '--with-validation');
      expect(text.match(/\[checking the CRL failed: No public key\]/g)).toHaveLength(2);
      // RFC 9919 §3.2.1 wants the signer named by its key, and 2.2 looks for none whose certificate comes with the answer.
      expect(box.read('dirmngr.log').toString()).toMatch(
        /status: success[\s\S]*responder certificate \{[0-9A-F]+\} not found/,
      );
    },
  );

  it.runIf(installed('ocspclnt') && installed('certutil'))(cases.titled('NSS, OCSP'), async () => {
    const box = tool(files());
    await run(box, 'certutil', '-d', '.', '-N', '--empty-password');
    await run(box, 'certutil', '-d', '.', '-A', '-n', 'root', '-t', 'CT,C,C', '-i', 'root.pem');
    for (const name of ['issuing', 'good', 'revoked']) {
      await run(box, 'certutil', '-d', '.', '-A', '-n', name, '-t', ',,', '-i', `${name}.pem`);
    }
    const status = async (name: string) => (await run(box, 'ocspclnt', '-d', '.', '-S', name)).text;
    // The nickname is printed too, so the words looked for are its verdict's.
    expect(await status('good')).toContain('succeeded.');
    const refused = await status('revoked');
    expect(refused).toContain('has been revoked');
    expect(refused).not.toContain('succeeded.');
  });
});

describe('the table of kinds and programs', () => {
  it('names no case of this file that is not shown here', () => {
    expect(cases.missing()).toEqual([]);
  });
});
