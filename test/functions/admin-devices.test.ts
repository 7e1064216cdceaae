import { X509Certificate } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { readRsaPublicKey, sha256Hex } from '../../shared/pki/certificate.ts';
import { buildCertificationRequest } from '../../shared/pki/certification-request.ts';
import { generateEcKey, generateRsaKey, type KeyPair } from '../../shared/pki/key.ts';
import { signerFromPkcs8 } from '../../shared/pki/signer.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { rsaSpki } from '../pki/weak-moduli.ts';
import { adminOver } from '../support/admin.ts';
import {
  CAUSE,
  createWorld,
  DAY_MS,
  type Materials,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { inForce } from '../support/policy.ts';
import { type Answer, type Served, serveHandler } from './support/served.ts';

const ANA = { userId: '100000000000000000001', primaryEmail: 'ana@acme.example' };
const EVA = { userId: '100000000000000000005', primaryEmail: 'eva@acme.example' };

let materials: Materials;
let world: World;
let served: Served;
let key: KeyPair;

beforeAll(async () => {
  [materials, key] = await Promise.all([makeMaterials(), generateEcKey('P-256')]);
});
beforeEach(async () => {
  world = await createWorld(materials);
  world.directory.put(ANA);
  await look();
  served = await serveHandler(adminOver(world, { policies: inForce(world.deps.policy) }), world.log);
});
afterEach(async () => {
  await served.close();
  await world.close();
});

const look = () => reconcile(world.deps, ANA.userId, CAUSE);
const headers = { authorization: 'Bearer a.b.c', 'content-type': 'application/json' };
const get = (path: string) => served.request(path, { method: 'GET', headers });
const post = (path: string, body: unknown) => served.request(path, { headers, body: JSON.stringify(body) });
const requestOf = async (pair: KeyPair = key) =>
  Buffer.from(await buildCertificationRequest(ANA.primaryEmail, signerFromPkcs8(pair.pkcs8Der))).toString(
    'base64',
  );
const ask = async (changes: object = {}) =>
  await post('/v1/devices', {
    user: ANA.primaryEmail,
    device: 'Ana’s phone',
    request: await requestOf(),
    ...changes,
  });
const field = (answer: Answer, name: string): unknown => (answer.json as Record<string, unknown>)[name];
const idOf = (answer: Answer) => String(field(answer, 'id'));
const leaves = async () => (await world.ledger.readUser(ANA.userId)).leaves;

describe('admin, asked for a certificate for a device,', () => {
  it('writes it down, wakes the loop, and shows the certificate with its chain once it is there', async () => {
    const accepted = await ask();
    expect(accepted).toMatchObject({ status: 202, json: { state: 'waiting', user: ANA.primaryEmail } });
    expect(world.bus.hints.at(-1)).toMatchObject({ userId: ANA.userId });
    await look();
    const { json } = await get(`/v1/devices/${idOf(accepted)}`);
    const view = json as { state: string; certificate: string; chain: string[]; serial: string };
    expect(view.state).toBe('issued');
    const [leaf, issuing, root] = [view.certificate, ...view.chain].map(
      (der) => new X509Certificate(Buffer.from(der, 'base64')),
    );
    expect(leaf?.publicKey.export({ type: 'spki', format: 'der' })).toEqual(Buffer.from(key.spkiDer));
    expect(leaf?.subjectAltName).toBe('email:ana@acme.example');
    expect(leaf?.verify(issuing?.publicKey ?? expect.unreachable())).toBe(true);
    expect(issuing?.verify(root?.publicKey ?? expect.unreachable())).toBe(true);
    expect(await get(`/v1/certificates/${view.serial}`)).toMatchObject({
      status: 200,
      json: { holder: 'device', certificate: view.certificate, chain: view.chain },
    });
    const { json: user } = await get(`/v1/users/${ANA.primaryEmail}`);
    expect(user).toMatchObject({
      certificates: [
        { holder: 'key-service' },
        { holder: 'device', device: 'Ana’s phone', serial: view.serial },
      ],
    });
  });

  it('answers the same request with the same device', async () => {
    const [first, second] = [await ask(), await ask()];
    expect(idOf(second)).toBe(idOf(first));
    await look();
    expect((await leaves()).filter(({ holder }) => holder === 'device')).toHaveLength(1);
  });

  test.each([
    ['somebody unknown', { user: 'nobody@acme.example' }, 404, 'not-found'],
    ['a request that is none', { request: 'AAAA' }, 400, 'malformed-request'],
    ['no name', { device: ' ' }, 400, 'malformed-request'],
    ['a name of two lines', { device: 'a\nb' }, 400, 'malformed-request'],
    ['a field too many', { pkcs8: 'AAAA' }, 400, 'malformed-request'],
  ])('refuses %s and writes nothing', async (_what, changes, status, reason) => {
    const answer = await ask(changes);
    expect(answer).toMatchObject({ status, json: { error: { details: [{ reason }] } } });
    expect((await world.ledger.readUser(ANA.userId)).deviceKeys).toEqual([]);
  });

  it('refuses a private key in place of a request without repeating any of it', async () => {
    const secret = Buffer.from(key.pkcs8Der).toString('base64');
    const answer = await ask({ request: secret });
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain(secret.slice(20, 60));
    expect(JSON.stringify(world.log.lines)).not.toContain(secret.slice(20, 60));
  });

  it('refuses a key that shares its modulus with one that is known', async () => {
    const rsa = await generateRsaKey(2048);
    const spkiDer = rsaSpki(readRsaPublicKey(rsa.spkiDer).modulus, 65_539n);
    await world.ledger.recordDeviceKey({
      ...{ userId: ANA.userId, device: 'laptop', spkiDer, spkiSha256Hex: sha256Hex(spkiDer) },
      requestedBy: 'admin@acme.example',
    });
    expect(await ask({ request: await requestOf(rsa) })).toMatchObject({
      status: 422,
      json: {
        error: { details: [{ reason: 'key-weak' }], message: expect.stringContaining('same modulus') },
      },
    });
    expect((await world.ledger.readUser(ANA.userId)).deviceKeys).toHaveLength(1);
  });

  it('refuses for somebody who is leaving, with the reason', async () => {
    world.directory.put({ ...ANA, orgUnitPath: '/Contractors' });
    await look();
    expect(await ask()).toMatchObject({
      status: 409,
      json: { error: { message: expect.stringContaining('gets no certificate: ') } },
    });
  });

  it('refuses the key of another user', async () => {
    await ask();
    world.directory.put({ ...EVA, orgUnitPath: '/Staff' });
    await reconcile(world.deps, EVA.userId, CAUSE);
    expect(await ask({ user: EVA.primaryEmail })).toMatchObject({ status: 409 });
  });

  it('says when nobody met the request within a day', async () => {
    const id = idOf(await ask());
    world.clock.advance(DAY_MS + 1);
    expect((await get(`/v1/devices/${id}`)).json).toMatchObject({ state: 'expired' });
  });
});

describe('admin, asked to revoke a device,', () => {
  const revoke = (id: string, reason = 'keyCompromise') => post(`/v1/devices/${id}/revoke`, { reason });

  it('has its certificate revoked for the reason, and the key is never certified again', async () => {
    const id = idOf(await ask());
    await look();
    expect(await revoke(id)).toMatchObject({ status: 202 });
    await look();
    expect((await get(`/v1/devices/${id}`)).json).toMatchObject({
      state: 'revoked',
      revocation: { reason: 'keyCompromise' },
    });
    expect(await ask()).toMatchObject({
      status: 422,
      json: { error: { details: [{ reason: 'key-blocked' }] } },
    });
    // Nor under Gmail's kind of key, whoever tries: the database refuses the intent itself (test/contract/device-keys.ts).
    const { user, leaves: all } = await world.ledger.readUser(ANA.userId);
    expect(user?.state).toBe('ready');
    expect(all.map(({ revocation }) => revocation?.reason)).toEqual([undefined, 'keyCompromise']);
  });

  it('takes a request back that was not met yet', async () => {
    const id = idOf(await ask());
    expect(await revoke(id, 'superseded')).toMatchObject({ status: 202, json: { state: 'withdrawn' } });
    await look();
    expect((await leaves()).filter(({ holder }) => holder === 'device')).toEqual([]);
    expect(await revoke(id, 'superseded')).toMatchObject({ status: 202 });
  });

  it('wants a reason, and a device there is', async () => {
    const id = idOf(await ask());
    expect(await revoke(id, 'certificateHold')).toMatchObject({ status: 400 });
    expect(await revoke('none')).toMatchObject({ status: 404 });
    expect(await get('/v1/devices')).toMatchObject({ status: 405 });
    expect(await post(`/v1/devices/${id}/bless`, {})).toMatchObject({ status: 404 });
  });
});

describe('admin, asked for a certificate', () => {
  test.each([
    ['unknown', '77'.repeat(18), 404],
    ['no serial', 'x', 404],
  ])('that is %s, answers 404', async (_what, serial, status) => {
    expect(await get(`/v1/certificates/${serial}`)).toMatchObject({ status });
  });
});

describe('admin, asked to lint what is live,', () => {
  it('judges every certificate that has not expired, and the CAs, and finds nothing against them', async () => {
    const { spkiDer, pkcs8Der } = await generateRsaKey(2048);
    await ask({ request: await requestOf({ spkiDer, pkcs8Der }) });
    await look();
    const { status, json } = await get('/v1/lint');
    expect(status).toBe(200);
    const errors = (list: readonly { severity: string }[]) =>
      list.filter(({ severity }) => severity === 'error');
    const view = json as {
      certificates: { serial: string; holder: string; inGmail: boolean; findings: { severity: string }[] }[];
      issuers: { certificates: { role: string; findings: { severity: string }[] }[] }[];
    };
    expect(view.certificates.map(({ holder, inGmail }) => [holder, inGmail])).toEqual([
      ['key-service', true],
      ['device', false],
    ]);
    expect(view.certificates.flatMap(({ findings }) => errors(findings))).toEqual([]);
    expect(view.issuers.map(({ certificates }) => certificates.map(({ role }) => role))).toEqual([
      ['issuing', 'root'],
    ]);
    expect(
      view.issuers.flatMap(({ certificates }) => certificates.flatMap(({ findings }) => errors(findings))),
    ).toEqual([]);
  });

  it('names the rule that a certificate breaks as of now', async () => {
    const users = async () => {
      const list = await world.ledger.users();
      return list.map((ledger) => ({
        ...ledger,
        leaves: ledger.leaves.map((leaf) => ({ ...leaf, addresses: ['other@acme.example'] })),
      }));
    };
    const { lintLive } = await import('../../functions/admin/lint.ts');
    const { body } = await lintLive(
      { clock: world.clock, ledger: { ...world.ledger, users } },
      new URLSearchParams(),
    );
    expect(body).toMatchObject({
      certificates: [
        {
          findings: [
            {
              rule: 'gmail-leaf-address',
              severity: 'error',
              found: expect.stringContaining('other@acme.example'),
            },
          ],
        },
      ],
    });
  });

  it('goes on page by page', async () => {
    world.directory.put({ ...EVA, orgUnitPath: '/Staff' });
    await reconcile(world.deps, EVA.userId, CAUSE);
    const first = await get('/v1/lint?limit=1');
    expect(field(first, 'next')).toBe(ANA.userId);
    const second = await get(`/v1/lint?limit=1&after=${ANA.userId}`);
    expect(second.json).toMatchObject({ certificates: [{ user: EVA.primaryEmail }] });
    expect(field(second, 'issuers')).toBeUndefined();
    expect(await get('/v1/lint?limit=0')).toMatchObject({ status: 400 });
    expect(await get('/v1/lint?after=x')).toMatchObject({ status: 400 });
  });
});
