/** Keys of old mail: from an admin's request to a pair in Gmail that is known for what it is ever after. */
import { createHash, createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readImportedKeys, requestKeyImport } from '../../functions/admin/imported-keys.ts';
import { requestKeyMove } from '../../functions/admin/key-moves.ts';
import { requestKeypairChange } from '../../functions/admin/keypair-requests.ts';
import { explain } from '../../shared/audit/explain.ts';
import { importIdOf } from '../../shared/domain/imported-certificate.ts';
import { permanent, retryable } from '../../shared/errors.ts';
import { readRsaPublicKey } from '../../shared/pki/certificate.ts';
import { obliterationStatement } from '../../shared/plan/obliteration.ts';
import { rsaSpki } from '../pki/weak-moduli.ts';
import {
  createWorld,
  DAY_MS,
  KEY_SERVICE_URL,
  type Materials,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { type OldKey, oldKey } from '../support/old-key.ts';
import { inForce, policyOf, policyRule } from '../support/policy.ts';
import { failing, look, named } from './outcome.ts';
import { ADDRESS, JOIN, USER_ID, wish } from './workflows.ts';

const ADMIN = 'admin@acme.example';
const NEW_URL = 'https://kacls.new.example/v1';
const base64 = (der: Uint8Array): string => Buffer.from(der).toString('base64');
const sha256 = (der: Uint8Array): string => createHash('sha256').update(der).digest('hex');

let materials: Materials;
let world: World;
let rewind: () => Promise<void>;
/** Long expired, of another CA, for an address the user never had here. */
let old: OldKey;
/** Another certificate over the same key. */
let renewed: OldKey;

beforeAll(async () => {
  old = oldKey();
  const keyPem = String(
    createPrivateKey({ key: Buffer.from(old.pkcs8Der), format: 'der', type: 'pkcs8' }).export({
      type: 'pkcs8',
      format: 'pem',
    }),
  );
  renewed = oldKey({ keyPem });
  materials = await makeMaterials();
  world = await createWorld(materials);
  await JOIN.prepare(world);
  await look(world.deps);
  world.clock.advance(DAY_MS);
  rewind = await world.save();
});
beforeEach(() => rewind());
afterAll(() => world.close());

const wrap = async (key: OldKey, userId = USER_ID): Promise<string> =>
  (
    await world.keyService.wrapPrivateKey({
      keyServiceUrl: KEY_SERVICE_URL,
      privateKeyDer: key.pkcs8Der,
      spkiSha256Hex: sha256(key.spkiDer),
      userId,
    })
  ).wrappedKey;
const deps = () => ({ ...world, policies: inForce(world.deps.policy) });
const request = async (key: OldKey, more: object = {}) => {
  const { body } = await requestKeyImport(deps(), ADMIN, {
    user: ADDRESS,
    chain: [base64(key.certificateDer), base64(key.caDer)],
    keyService: KEY_SERVICE_URL,
    wrappedKey: await wrap(key),
    ...more,
  });
  return body as { readonly id: string; readonly state: string; readonly keyProof: string };
};
const imported = async (key: OldKey = old): Promise<string> => {
  const { id } = await request(key);
  await look(world.deps);
  return id;
};
const pairOf = (key: OldKey) =>
  world.gmail.account(USER_ID).pairs.filter((pair) => pair.leafSha256Hex === sha256(key.certificateDer));
const ledger = () => world.ledger.readUser(USER_ID);
const stateOf = async (id: string) => (await world.ledger.readImport(id))?.state;
const identity = () => [...world.gmail.account(USER_ID).identities.values()][0];

describe('an imported key', () => {
  test('is wrapped for its user, proven, and uploaded with the certificate it had, however old', async () => {
    const before = identity();
    const { id, state, keyProof } = await request(old);
    expect({ id, state, keyProof }).toEqual({
      id: importIdOf(old.certificateDer),
      state: 'waiting',
      keyProof: 'proven',
    });
    await look(world.deps);
    const [pair] = pairOf(old);
    expect(pair).toMatchObject({ enabled: true, addresses: ['ana.old@corporate.example'] });
    expect(pair?.privateKey).toMatchObject({ keyServiceUrl: KEY_SERVICE_URL });
    expect(await stateOf(id)).toBe('uploaded');
    expect(identity()).toEqual(before);
    expect((await ledger()).user?.state).toBe('ready');
  });

  test('is not taken for something foreign, nor used for anything new: re-keys and renewals pass it by', async () => {
    await imported();
    await wish(world, 'superseded');
    await look(world.deps);
    const { notices, keys, leaves } = await ledger();
    expect(notices).toEqual([]);
    expect(keys.map(({ spkiSha256Hex }) => spkiSha256Hex)).not.toContain(sha256(old.spkiDer));
    expect(leaves).toHaveLength(2);
    const use = identity();
    expect(use).toMatchObject({ kind: 'dual' });
    expect(use?.kind === 'dual' && use.keypairId).not.toBe(pairOf(old)[0]?.keypairId);
    expect(pairOf(old)[0]?.enabled).toBe(true);
  });

  test('asked for twice is there once, and another certificate over it makes a second pair with the same wrapped form', async () => {
    await imported();
    await imported();
    expect(pairOf(old)).toHaveLength(1);
    await imported(renewed);
    expect(pairOf(renewed)[0]?.privateKey).toEqual(pairOf(old)[0]?.privateKey);
    expect(await world.ledger.countImportedKeys()).toBe(1);
  });

  test('that somebody uploaded by other means is adopted', async () => {
    const keypairId = world.gmail.addForeignPair(USER_ID, old.certificateDer);
    await look(world.deps);
    expect((await ledger()).notices).toMatchObject([{ kind: 'foreign-keypair' }]);
    await imported();
    expect(pairOf(old).map((pair) => pair.keypairId)).toEqual([keypairId]);
    expect((await ledger()).notices).toEqual([]);
  });

  test('gets there once, whatever fails between', async () => {
    const { id } = await request(old);
    const away = retryable('gmail-unavailable', 'Gmail is away.');
    for (const moment of ['before', 'after'] as const)
      for (const step of ['recordKeypairIntent', 'createKeypair', 'recordKeypair', 'closeImport'])
        await look(world.surrounded(failing(away, named(step), moment))).catch((error) =>
          expect(error).toBe(away),
        );
    await look(world.deps);
    expect(pairOf(old)).toHaveLength(1);
    expect(await stateOf(id)).toBe('uploaded');
  });

  test('that Gmail refuses says why, holds nothing else up, and can be asked for again', async () => {
    const refusal = permanent('gmail-refused', 'Gmail takes no such chain.');
    const { id } = await request(old);
    await look(world.surrounded(failing(refusal, named('createKeypair'))));
    expect(await world.ledger.readImport(id)).toMatchObject({ state: 'refused', detail: refusal.message });
    expect((await ledger()).user?.state).toBe('ready');
    await imported();
    expect(await stateOf(id)).toBe('uploaded');
  });

  test('leaves its trail: who asked, what was done, and no wrapped form', async () => {
    await imported();
    const trail = await world.ledger.auditTrail({ userId: USER_ID, limit: 1000 });
    const lines = trail.filter(({ step }) => ['key-import-requested', 'import-keypair'].includes(step));
    expect(lines.map(({ step, outcome, cause }) => [step, outcome, cause.source])).toEqual([
      ['key-import-requested', 'done', 'admin'],
      ['import-keypair', 'done', 'watch'],
    ]);
    const { key } = (await ledger()).imported?.[0] ?? {};
    const said = JSON.stringify([world.log.lines, lines.map(({ details, reason }) => [details, reason])]);
    expect(said).not.toContain(key?.wrappedKey ?? 'nothing');
    expect(said).not.toContain(base64(old.pkcs8Der).slice(100, 160));
  });
});

describe('the pair of an imported key', () => {
  const inactive = () => world.directory.put({ userId: USER_ID, orgUnitPath: '/Contractors' });
  const disabling = policyOf([
    policyRule({
      modulusBits: 2048,
      keyServiceUrl: KEY_SERVICE_URL,
      onLeave: { identity: 'delete', keypair: 'disable' },
    }),
  ]);

  test('stays enabled when its user leaves, where policy leaves pairs alone', async () => {
    await imported();
    inactive();
    await look(world.deps);
    world.clock.advance(2 * DAY_MS);
    await look(world.deps);
    expect((await ledger()).user?.state).toBe('out');
    expect(pairOf(old)[0]?.enabled).toBe(true);
  });

  test('is disabled and enabled again with the others, where policy disables them', async () => {
    const under = { ...world.deps, policy: disabling };
    await imported();
    inactive();
    await look(under);
    world.clock.advance(2 * DAY_MS);
    await look(under);
    expect(world.gmail.account(USER_ID).pairs.map(({ enabled }) => enabled)).toEqual([false, false]);
    world.directory.put({ userId: USER_ID, orgUnitPath: '/Staff' });
    await look(under);
    expect(pairOf(old)[0]?.enabled).toBe(true);
  });

  test('waits for nobody who has left: it is refused, saying so', async () => {
    const { id } = await request(old);
    inactive();
    await look(world.deps);
    expect(await world.ledger.readImport(id)).toMatchObject({ state: 'refused' });
    expect(pairOf(old)).toEqual([]);
    await expect(request(old)).rejects.toMatchObject({ code: 'conflict', details: { field: 'user' } });
  });

  test('counts among the epochs and moves to another key service with the others', async () => {
    world.gmail.takeSameLeafAgain(true);
    const id = await imported();
    const policy = policyOf([policyRule({ modulusBits: 2048, keyServiceUrl: NEW_URL })]);
    const under = { ...world.deps, policy };
    await look(under);
    expect(await world.ledger.tiedEpochs(KEY_SERVICE_URL, { limit: 10 })).toMatchObject([
      { userId: USER_ID },
      { userId: USER_ID, serialHex: id },
    ]);
    const wanted = { from: KEY_SERVICE_URL, to: NEW_URL };
    await requestKeyMove({ ...world, policies: inForce(policy) }, ADMIN, wanted);
    await look(under);
    expect(pairOf(old).map(({ privateKey }) => privateKey)).toMatchObject([
      { keyServiceUrl: KEY_SERVICE_URL },
      { keyServiceUrl: NEW_URL },
    ]);
    expect(await world.ledger.tiedEpochs(KEY_SERVICE_URL, { limit: 10 })).toEqual([]);
    expect(
      await world.ledger.keysToRewrap({ keyServiceUrl: NEW_URL, kekId: 'kek/newer', limit: 9 }),
    ).toHaveLength(2);
  });

  test('can be disabled by an admin, and its obliteration says which mail goes with it', async () => {
    const id = await imported();
    const keypair = pairOf(old)[0]?.keypairId ?? '';
    const asked = { kind: 'disable', user: ADDRESS, keypair, reason: 'the mail is archived elsewhere' };
    await requestKeypairChange(deps(), ADMIN, asked);
    await look(world.deps);
    expect(pairOf(old)[0]?.enabled).toBe(false);
    const { imported: [one] = [], ...rest } = await ledger();
    expect(
      obliterationStatement({ ...rest, imported: one === undefined ? [] : [one] }, keypair),
    ).toMatchObject({
      epochs: [{ serial: id, from: one?.notBefore.toISOString(), addresses: ['ana.old@corporate.example'] }],
    });
  });

  test('that was disabled is not enabled by importing it again, and made anew once it was obliterated', async () => {
    const id = await imported();
    const keypair = pairOf(old)[0]?.keypairId ?? '';
    await requestKeypairChange(deps(), ADMIN, {
      kind: 'disable',
      user: ADDRESS,
      keypair,
      reason: 'a mistake of ours',
    });
    await look(world.deps);
    await imported();
    expect(await world.ledger.readImport(id)).toMatchObject({
      state: 'refused',
      detail: expect.stringContaining('is disabled'),
    });
    world.clock.advance(31 * DAY_MS);
    await world.gmail.obliterateKeypair(ADDRESS, keypair);
    await imported();
    expect(pairOf(old)).toMatchObject([{ enabled: true }]);
    const { keypairs, notices } = await ledger();
    expect(keypairs.find(({ serialHex }) => serialHex === id)?.disabled).toBeUndefined();
    expect(notices).toEqual([]);
  });

  test('is explained, and is among those whose mail opens', async () => {
    const id = await imported();
    const facts = await ledger();
    if (facts.user === undefined) throw new Error('nobody');
    const chapters = explain({
      now: world.clock.now(),
      user: facts.user,
      ledger: facts,
      trail: [],
      listings: [],
    });
    expect(chapters.find(({ title }) => title === 'Imported keys')?.sentences).toEqual([
      expect.stringMatching(
        new RegExp(`^${id} for ana.old@corporate.example.*Gmail holds it as key pair ANe`),
      ),
    ]);
    const { body } = await readImportedKeys(deps(), new URLSearchParams({ user: ADDRESS }));
    expect(body).toMatchObject({
      userId: USER_ID,
      keyService: KEY_SERVICE_URL,
      certificates: [{}, { certificate: base64(old.certificateDer), serial: id }],
      imports: [{ id, state: 'uploaded' }],
    });
  });
});

describe('importing a key refuses', () => {
  test('one that is weak, no RSA key, or of somebody else, and a certificate of our own', async () => {
    const small = oldKey({ key: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'] });
    const wrappedKey = await wrap(old);
    await expect(request(small, { wrappedKey })).rejects.toMatchObject({
      code: 'key-weak',
      details: { weakness: 'small-modulus' },
    });
    const ec = oldKey({ key: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'] });
    await expect(request(ec, { wrappedKey })).rejects.toMatchObject({ details: { problem: 'not-rsa' } });
    const { leaves } = await ledger();
    const chain = [base64(leaves[0]?.leafDer ?? new Uint8Array())];
    await expect(request(old, { chain })).rejects.toThrow(/Sealwright issued this certificate/);
  });

  test('one that shares its modulus with a key that is known here', async () => {
    const { modulus } = readRsaPublicKey(old.spkiDer);
    const spkiDer = rsaSpki(modulus, 65_539n);
    const wrappedKey = await wrap(old);
    await world.ledger.recordDeviceKey({
      ...{ userId: USER_ID, device: 'phone', spkiDer, spkiSha256Hex: sha256(spkiDer) },
      requestedBy: ADMIN,
    });
    await expect(request(old, { wrappedKey })).rejects.toMatchObject({
      code: 'key-weak',
      details: { weakness: 'shared-modulus' },
    });
    expect((await ledger()).imported ?? []).toEqual([]);
  });

  test('a wrapped form that does not open, opens to another key, or is another user’s', async () => {
    await expect(request(old, { wrappedKey: 'AAAA' })).rejects.toMatchObject({ code: 'key-service-refused' });
    const stranger = await wrap(old, '100000000000000000002');
    await expect(request(old, { wrappedKey: stranger })).rejects.toMatchObject({
      details: { field: 'wrappedKey' },
    });
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const spkiDer = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
    const pkcs8Der = new Uint8Array(privateKey.export({ type: 'pkcs8', format: 'der' }));
    const wrappedKey = await wrap({ ...old, spkiDer, pkcs8Der });
    await expect(request(old, { wrappedKey })).rejects.toMatchObject({ details: { field: 'wrappedKey' } });
    expect(await world.ledger.countImportedKeys()).toBe(0);
  });

  test('another key service than the rule’s', async () => {
    await expect(request(old, { keyService: 'https://elsewhere.example' })).rejects.toMatchObject({
      code: 'conflict',
      details: { field: 'keyService' },
    });
  });
});
