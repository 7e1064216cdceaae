import { createHash } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { IssuerRecord } from '../../shared/domain/records.ts';
import { permanent } from '../../shared/errors.ts';
import { readCertificate } from '../../shared/pki/certificate.ts';
import { certificateSpkiSha256Hex } from '../../shared/pki/chain.ts';
import { decodeExtensions } from '../../shared/pki/extensions-reader.ts';
import { generateEcKey, generateRsaKey } from '../../shared/pki/key.ts';
import { surround } from '../support/fakes/calls.ts';
import { createWorld, DAY_MS, type Materials, makeMaterials, type World } from '../support/fakes/world.ts';
import { failing, look, named } from './outcome.ts';
import { JOIN, USER_ID, wish } from './workflows.ts';

let materials: Materials;
let world: World;
beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials);
  await JOIN.prepare(world);
  await look(world.deps);
});
afterEach(() => world.close());

const ask = async (spkiDer: Uint8Array) =>
  await world.ledger.recordDeviceKey({
    userId: USER_ID,
    device: 'Ana’s phone',
    spkiDer,
    spkiSha256Hex: createHash('sha256').update(spkiDer).digest('hex'),
    requestedBy: 'admin@acme.example',
  });
const deviceLeaves = async () =>
  (await world.ledger.readUser(USER_ID)).leaves.filter(({ holder }) => holder === 'device');

describe('a certificate on a device', () => {
  test('is warned about once at each of 30, 14, 7 and 1 days and at its end, while everything else is renewed', async () => {
    await ask((await generateEcKey('P-256')).spkiDer);
    await look(world.deps);
    const endsAt = (await deviceLeaves())[0]?.notAfter.getTime() ?? 0;
    world.clock.set(new Date(endsAt - 40 * DAY_MS));
    for (let looks = 0; looks < 12 && world.clock.now().getTime() <= endsAt; looks += 1) {
      await world.publishCrl();
      await look(world.deps);
      world.clock.set((await world.ledger.readUser(USER_ID)).user?.nextActionAt ?? world.clock.now());
    }
    const told = world.log.of('device-certificate-expiring').map(({ fields }) => fields['notice']);
    const serialHex = (await deviceLeaves())[0]?.serialHex;
    expect(told).toEqual(
      ['30', '14', '7', '1', '0'].map((days) => `device-certificate-expiring/${serialHex}/${days}`),
    );
    const { user, notices } = await world.ledger.readUser(USER_ID);
    expect([user?.state, notices.map(({ kind }) => kind)]).toEqual([
      'ready',
      ['device-certificate-expiring'],
    ]);
  });
});

describe('a device’s key that an admin asked to certify', () => {
  test('is certified on the same path, and neither Gmail nor the key service hears of it', async () => {
    const { spkiDer } = await generateRsaKey(2048);
    const before = JSON.stringify(world.gmail.account(USER_ID).pairs.map(({ keypairId }) => keypairId));
    const key = await ask(spkiDer);
    expect((await look(world.deps)).kind).toBe('converged');
    const [leaf, ...more] = await deviceLeaves();
    expect(more).toEqual([]);
    expect(leaf).toMatchObject({ state: 'signed', keyId: key.keyId, addresses: ['ana@acme.example'] });
    expect(certificateSpkiSha256Hex(leaf?.leafDer ?? new Uint8Array())).toBe(key.spkiSha256Hex);
    const { user, keypairs, keys } = await world.ledger.readUser(USER_ID);
    expect([user?.state, keys.length, keypairs.length]).toEqual(['ready', 1, 1]);
    expect(JSON.stringify(world.gmail.account(USER_ID).pairs.map(({ keypairId }) => keypairId))).toBe(before);
  });

  test('names the OCSP responder where the issuer has one, as every leaf does', async () => {
    const ocspUrl = 'http://pki.acme.example/ocsp';
    const issuerToUse = async () => {
      const found = (await world.ledger.issuerToUse()) ?? expect.unreachable();
      return { ...found, issuer: { ...world.issuer, ocspUrl } };
    };
    const found = { kind: 'ocsp', url: ocspUrl, sha256Hex: 'ab'.repeat(32), found: 'an answer' } as const;
    await world.ledger.recordAddressCheck(world.issuer.issuerId, found);
    await ask((await generateEcKey('P-256')).spkiDer);
    await look({ ...world.deps, ledger: { ...world.ledger, issuerToUse } });
    const [leaf] = await deviceLeaves();
    const { decoded } = decodeExtensions(readCertificate(leaf?.leafDer ?? new Uint8Array()).extensions);
    expect(decoded.authorityInfoAccess?.map(({ location }) => location.value)).toContain(ocspUrl);
  });

  test('may be on a curve, and then agrees on keys where RSA would encipher them', async () => {
    await ask((await generateEcKey('P-256')).spkiDer);
    await look(world.deps);
    const [leaf] = await deviceLeaves();
    const { decoded } = decodeExtensions(readCertificate(leaf?.leafDer ?? new Uint8Array()).extensions);
    expect(decoded.keyUsage).toEqual(['digitalSignature', 'keyAgreement']);
  });

  test('loses it with everything else when its user departs, with the same reason', async () => {
    await ask((await generateEcKey('P-256')).spkiDer);
    await look(world.deps);
    world.directory.remove(USER_ID);
    await look(world.deps);
    const { leaves } = await world.ledger.readUser(USER_ID);
    expect(leaves.map(({ revocation }) => revocation?.reason)).toEqual([
      'cessationOfOperation',
      'cessationOfOperation',
    ]);
  });

  test('is not touched by a re-key of the user', async () => {
    await ask((await generateEcKey('P-256')).spkiDer);
    await look(world.deps);
    await wish(world, 'keyCompromise');
    await look(world.deps);
    const [leaf] = await deviceLeaves();
    expect(leaf?.revocation).toBeUndefined();
    expect(leaf?.retirement).toBeUndefined();
  });
});

describe('a refusal by Gmail', () => {
  const refused = permanent('gmail-refused', 'Gmail refuses the key pair: invalid argument.');
  const refusing = (change: Partial<IssuerRecord>) => {
    const ledger = {
      ...world.ledger,
      issuerToUse: async () => {
        const found = (await world.ledger.issuerToUse()) ?? expect.unreachable();
        return { ...found, issuer: { ...found.issuer, ...change } };
      },
    };
    const gmail = surround('gmail', world.gmail, failing(refused, named('createKeypair')));
    return { ...world.deps, ledger, gmail };
  };
  beforeEach(async () => {
    await wish(world, 'superseded');
  });

  test('names the rule that the chain breaks, and what to do', async () => {
    await look(refusing({ chainDer: [] }));
    const { user } = await world.ledger.readUser(USER_ID);
    expect(user?.state).toBe('blocked');
    expect(user?.reason).toContain('invalid argument. The linter finds: chain-root-missing (');
    expect(user?.reason).toContain('Add the missing issuer up to the root');
  });

  test('of a chain that breaks no rule says what Gmail said', async () => {
    await look(refusing({}));
    const { user } = await world.ledger.readUser(USER_ID);
    expect(user?.reason).toContain('invalid argument');
    expect(user?.reason).not.toContain('The linter finds');
  });
});
