import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createSign } from '../../functions/sign.ts';
import { buildCrl } from '../../shared/pki/crl.ts';
import { readCrl, verifyCrl } from '../../shared/pki/crl-reader.ts';
import { signedCrlDer, textOf } from '../support/crl-text.ts';
import { surround } from '../support/fakes/calls.ts';
import {
  createWorld,
  ISSUER_ID,
  KEY_SERVICE_URL,
  KEY_VERSION,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { revokedLeaves } from '../support/packed-entries.ts';
import { CALLER, callerHeaders, itRefusesStrangers, itVerifiesWholly, privately } from './support/callers.ts';
import { failing } from './support/failing.ts';
import { type GoogleKeys, googleKeys } from './support/google-keys.ts';
import { type Answer, type Request, refusal, type Served, serveHandler } from './support/served.ts';

const USER_ID = '100000000000000000001';

let world: World;
let keys: GoogleKeys;
let served: Served;
const away = failing('readLeafToSign', 'ledger-unavailable');

beforeAll(async () => {
  world = await createWorld(await makeMaterials());
  keys = await googleKeys(world.clock);
  away.on = false;
  const { clock, caKeys, serviceKeys, log } = world;
  const ledger = surround('ledger', world.ledger, away.around);
  served = await serveHandler(
    createSign({ ...privately(keys, clock), clock, ledger, caKeys, serviceKeys, log }),
    log,
  );
});
afterAll(async () => {
  await Promise.all([served.close(), keys.close()]);
  await world.close();
});
beforeEach(() => {
  world.log.lines.length = 0;
});

const post = async (path: string, body: unknown, request: Request = {}): Promise<Answer> =>
  served.request(path, {
    headers: await callerHeaders(keys),
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...request,
  });
const bytes = ({ json }: Answer, name: string) =>
  Buffer.from(String((json as Readonly<Record<string, unknown>>)[name]), 'base64');

async function under<T>(subject: string, write: (lease: LeaseOf) => Promise<T>): Promise<T> {
  const lease = await world.ledger.acquireLease(subject, 60_000);
  if (lease === undefined) throw new Error(`The lease on ${subject} is not free.`);
  const written = await write(lease);
  await world.ledger.releaseLease(lease);
  return written;
}
type LeaseOf = NonNullable<Awaited<ReturnType<World['ledger']['acquireLease']>>>;

let keysMade = 0;
const intendLeaf = () =>
  under(`user:${USER_ID}`, async (lease) => {
    keysMade += 1;
    const keyId = `key-${keysMade}`;
    await world.ledger.recordSighting(lease, {
      userId: USER_ID,
      primaryEmail: 'ana@acme.example',
      aliases: [],
    });
    await world.ledger.recordKey(lease, {
      keyId,
      userId: USER_ID,
      spkiSha256Hex: 'ab'.repeat(32),
      spkiDer: world.authority.userKey.spkiDer,
      purpose: 'dual-use',
      modulusBits: 2048,
      keyServiceUrl: KEY_SERVICE_URL,
      wrappedKey: 'blob',
      proof: 'proven',
    });
    const unsigned = world.authority.unsignedLeaf({ now: world.clock.now() });
    await world.ledger.recordLeafIntent(lease, { ...unsigned, issuerId: ISSUER_ID, userId: USER_ID, keyId });
    return unsigned;
  });

const intendCrl = () =>
  under(`issuer:${ISSUER_ID}`, async (lease) => {
    const latest = await world.ledger.latestCrl(ISSUER_ID);
    const unsigned = buildCrl({
      issuerCertificateDer: world.issuer.certificateDer,
      crlNumber: (latest?.crlNumber ?? 0n) + 1n,
      now: world.clock.now(),
      entries: await revokedLeaves(world.ledger, ISSUER_ID),
    });
    const { tbsDer, ...intent } = unsigned;
    await world.ledger.recordCrlIntent(lease, { issuerId: ISSUER_ID, ...intent, text: textOf(tbsDer) });
    return unsigned;
  });

describe('sign', () => {
  it('answers the certificate of a leaf intent, and says in the log for whom', async () => {
    const { serialHex } = await intendLeaf();
    const answer = await post('/v1/leaf', { serialHex });
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.json as object)).toEqual(['leaf']);
    const leaf = new X509Certificate(bytes(answer, 'leaf'));
    expect(leaf.serialNumber.toLowerCase()).toBe(serialHex);
    expect(leaf.verify(new X509Certificate(world.issuer.certificateDer).publicKey)).toBe(true);
    expect(world.log.of('signed')).toMatchObject([{ fields: { kind: 'leaf', serialHex, caller: CALLER } }]);
  });

  it('answers the same certificate when asked again', async () => {
    const { serialHex } = await intendLeaf();
    const first = await post('/v1/leaf', { serialHex });
    expect((await post('/v1/leaf', { serialHex })).text).toBe(first.text);
  });

  it('signs the CRL of a CRL intent into the ledger', async () => {
    const { crlNumber } = await intendCrl();
    const answer = await post('/v1/crl', { issuerId: ISSUER_ID, crlNumber: String(crlNumber) });
    expect(answer.status).toBe(200);
    // A list of a million is more than Cloud Run lets through in one answer.
    expect(answer.json).toEqual({ crlNumber: String(crlNumber) });
    const crl = (await signedCrlDer(world.ledger, ISSUER_ID, crlNumber)) ?? expect.unreachable();
    expect(readCrl(crl).crlNumber).toBe(crlNumber);
    expect(verifyCrl(crl, world.issuer.certificateDer)).toBe(true);
    expect(world.log.of('signed')).toMatchObject([
      { fields: { kind: 'crl', issuerId: ISSUER_ID, crlNumber: String(crlNumber), caller: CALLER } },
    ]);
  });

  it('signs what the ledger holds and nothing that the request adds', async () => {
    const { serialHex, tbsDer } = await intendLeaf();
    const other = world.authority.unsignedLeaf({ now: world.clock.now(), addresses: ['eve@acme.example'] });
    const tampered = Buffer.from(other.tbsDer).toString('base64');
    const answer = await post('/v1/leaf', { serialHex, tbsDer: tampered, addresses: ['eve@acme.example'] });
    expect(answer.status).toBe(200);
    expect(bytes(answer, 'leaf').includes(Buffer.from(tbsDer))).toBe(true);
  });

  it('answers 503 with Retry-After while the ledger is away, and signs at the next call', async () => {
    const { serialHex } = await intendLeaf();
    away.on = true;
    const refused = await post('/v1/leaf', { serialHex });
    away.on = false;
    expect(refused).toMatchObject(refusal(503, 'ledger-unavailable'));
    expect(refused.headers.get('retry-after')).toBe('7');
    expect((await post('/v1/leaf', { serialHex })).status).toBe(200);
  });
});

describe('sign, signing nothing, answers', () => {
  it('a leaf nobody intended with 404', async () => {
    const answer = await post('/v1/leaf', { serialHex: '7f00' });
    expect(answer).toMatchObject(refusal(404, 'not-found', 'no intent under serial 7f00'));
  });

  it.each([
    ['of a number nobody intended', { issuerId: ISSUER_ID, crlNumber: '999' }],
    ['of an issuer nobody knows', { issuerId: 'issuing-9', crlNumber: '1' }],
    ['of a number larger than any', { issuerId: ISSUER_ID, crlNumber: '9'.repeat(18) }],
  ])('a CRL %s with 404', async (_what, body) => {
    expect(await post('/v1/crl', body)).toMatchObject(refusal(404, 'not-found', 'no intent for CRL'));
  });

  it('an intent whose leaf was revoked before it was signed with 422', async () => {
    const { serialHex } = await intendLeaf();
    await under(`user:${USER_ID}`, (lease) =>
      world.ledger.recordRevocation(lease, { serialHex, reason: 'superseded' }),
    );
    expect(await post('/v1/leaf', { serialHex })).toMatchObject(refusal(422, 'intent-mismatch'));
  });

  it('an intent whose CA key is destroyed with 422 and no word of the key', async () => {
    const { serialHex } = await intendLeaf();
    const key = await world.secrets.read(KEY_VERSION);
    world.secrets.destroy(KEY_VERSION);
    world.clock.advance(6 * 60_000);
    try {
      const answer = await post('/v1/leaf', { serialHex });
      expect(answer).toMatchObject(refusal(422, 'secret-unreadable'));
      expect(answer.text).not.toContain(Buffer.from(key).toString('base64').slice(100, 140));
    } finally {
      world.secrets.put(KEY_VERSION, key);
    }
  });

  it.each<[string, unknown]>([
    ['without a serial', {}],
    ['with a serial that is a number', { serialHex: 12 }],
    ['with an empty serial', { serialHex: '' }],
    ['with a serial in upper case', { serialHex: '7F00' }],
    ['with a serial behind 0x', { serialHex: '0x7f' }],
    ['with a serial of 21 octets', { serialHex: '7f'.repeat(21) }],
    ['with a serial and a line break', { serialHex: '7f00\n' }],
    ['with a list of serials', { serialHex: ['7f00'] }],
  ])('a leaf %s with 400', async (_what, body) => {
    expect(await post('/v1/leaf', body)).toMatchObject(refusal(400, 'malformed-request', '"serialHex"'));
  });

  it.each<[string, unknown, string]>([
    ['without an issuer', { crlNumber: '1' }, '"issuerId"'],
    ['with an issuer that is a path', { issuerId: '../x', crlNumber: '1' }, '"issuerId"'],
    ['with an issuer of 129 characters', { issuerId: 'x'.repeat(129), crlNumber: '1' }, '"issuerId"'],
    ['without a number', { issuerId: ISSUER_ID }, '"crlNumber"'],
    ['with a JSON number', { issuerId: ISSUER_ID, crlNumber: 1 }, '"crlNumber"'],
    ['with a negative number', { issuerId: ISSUER_ID, crlNumber: '-1' }, '"crlNumber"'],
    ['with a number in hex', { issuerId: ISSUER_ID, crlNumber: '0x1' }, '"crlNumber"'],
    [
      'with a number that no ledger can hold',
      { issuerId: ISSUER_ID, crlNumber: '9'.repeat(19) },
      '"crlNumber"',
    ],
  ])('a CRL %s with 400', async (_what, body, message) => {
    expect(await post('/v1/crl', body)).toMatchObject(refusal(400, 'malformed-request', message));
  });

  it.each(['serialHex=7f00', '', '[]', '"7f00"', 'null'])('the body %j with 400', async (body) => {
    expect(await post('/v1/leaf', body)).toMatchObject(refusal(400, 'malformed-request'));
  });

  it.each(['/', '/v1', '/v1/', '/v1/leaf/', '/v1/leaf/7f00', '/leaf', '/v2/leaf', '/v1/LEAF', '/v1/ocsp/'])(
    'the path %s with 404',
    async (path) => {
      expect(await post(path, { serialHex: '7f00' })).toMatchObject(refusal(404, 'not-found'));
    },
  );

  it.each(['GET', 'PUT', 'DELETE'])('%s with 405', async (method) => {
    const answer = await served.request('/v1/leaf', { method, headers: await callerHeaders(keys) });
    expect(answer).toMatchObject(refusal(405, 'method-not-allowed'));
  });
});

describe('sign refuses a request', () => {
  const call = (headers: Readonly<Record<string, string>>) =>
    served.request('/v1/leaf', { headers, body: '{"serialHex":"7f00"}' });
  itRefusesStrangers(() => keys, call);
  itVerifiesWholly(() => keys, call);
});
