import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestDevice, revokeDevice } from '../../functions/admin/devices.ts';
import { requestKeyImport } from '../../functions/admin/imported-keys.ts';
import { requestKeyMove } from '../../functions/admin/key-moves.ts';
import { confirmKeypairRequest, requestKeypairChange } from '../../functions/admin/keypair-requests.ts';
import { requestRekey } from '../../functions/admin/rekey.ts';
import type { Policy } from '../../shared/domain/policy.ts';
import { buildCertificationRequest } from '../../shared/pki/certification-request.ts';
import { generateEcKey } from '../../shared/pki/key.ts';
import { signerFromPkcs8 } from '../../shared/pki/signer.ts';
import { look } from '../reconcile/outcome.ts';
import { createWorld, DAY_MS, makeMaterials, POLICY, type World } from '../support/fakes/world.ts';
import { inForce } from '../support/policy.ts';

const ADMIN = 'admin@acme.example';
const USER = 'user-1@acme.example';

let world: World;
beforeAll(async () => {
  world = await createWorld(await makeMaterials());
  world.directory.put({ userId: '1' });
  await look(world.deps, '1');
});
afterAll(() => world.close());

const rules = POLICY.rules.map((rule) => ({ ...rule, observeOnly: true }));
const deps = () => ({ ...world, hintsPerMinute: 400, policies: inForce({ ...POLICY, rules }) });
const withKeyService = () => ({ ...deps(), keyRewrapping: { rewrapPrivateKey: () => expect.unreachable() } });

async function askForDevice(of: ReturnType<typeof deps>): Promise<string> {
  const { pkcs8Der } = await generateEcKey('P-256');
  const request = await buildCertificationRequest(USER, signerFromPkcs8(pkcs8Der));
  const wanted = { user: USER, device: 'A phone', request: Buffer.from(request).toString('base64') };
  return String(((await requestDevice(of, ADMIN, wanted)).body as { id: string }).id);
}
const refused = { code: 'conflict', message: expect.stringMatching(/rule ".+" only observes/) };

describe('for a user whose rule only observes, an admin', () => {
  it('is refused a re-key, with the rule named', async () => {
    await expect(requestRekey(deps(), ADMIN, { users: [USER], reason: 'superseded' })).rejects.toMatchObject(
      refused,
    );
  });

  it('leaves them out of a re-key of everybody, and is told how many', async () => {
    const reason = 'superseded';
    world.directory.put({ userId: '2', orgUnitPath: '/Acting' });
    const acting = {
      ...rules[0],
      name: 'acting',
      observeOnly: false,
      scope: { kind: 'org-unit', path: '/Acting' },
    };
    const mixed = {
      ...deps(),
      policies: inForce({ ...POLICY, rules: [acting, ...rules] as Policy['rules'] }),
    };
    const dry = await requestRekey(mixed, ADMIN, { all: true, reason, dryRun: true });
    expect(dry.body).toMatchObject({ total: 1, observed: 1, users: [{ user: 'user-2@acme.example' }] });
    const { status, body } = await requestRekey(mixed, ADMIN, { all: true, reason });
    expect([status, body]).toEqual([202, { job: expect.any(String), observed: 1, revokedOnly: 0 }]);
    expect((await world.ledger.readUser('1')).openWishes).toEqual([]);
    world.directory.remove('2');
  });

  it('is refused a re-key of everybody where there is nobody else', async () => {
    await expect(requestRekey(deps(), ADMIN, { all: true, reason: 'superseded' })).rejects.toMatchObject(
      refused,
    );
  });

  it('is refused a certificate for a device', async () => {
    await expect(askForDevice(deps())).rejects.toMatchObject(refused);
    expect((await world.ledger.readUser('1')).deviceKeys).toEqual([]);
  });

  it('may take a request for a device back, and have its certificate revoked for compromise alone', async () => {
    const acting = { ...deps(), policies: inForce(POLICY) };
    const id = await askForDevice(acting);
    await look(world.deps, '1');
    await expect(revokeDevice(deps(), ADMIN, id, { reason: 'superseded' })).rejects.toMatchObject(refused);
    expect((await world.ledger.readDeviceKey(id))?.withdrawnAt).toBeUndefined();
    expect((await revokeDevice(deps(), ADMIN, id, { reason: 'keyCompromise' })).status).toBe(202);
    const waiting = await askForDevice(acting);
    expect((await revokeDevice(deps(), ADMIN, waiting, { reason: 'superseded' })).status).toBe(202);
  });

  it('is refused a key of old mail', async () => {
    const wanted = {
      ...{ user: USER, chain: ['MAA='], wrappedKey: 'AAAA' },
      keyService: POLICY.rules[0]?.keyServiceUrl,
    };
    await expect(requestKeyImport(withKeyService(), ADMIN, wanted)).rejects.toMatchObject(refused);
  });

  it('is refused the confirmation of an obliteration that was asked for while the rule acted', async () => {
    const acting = { ...deps(), policies: inForce(POLICY) };
    const [pair] = (await world.ledger.readUser('1')).keypairs;
    const lease = (await world.ledger.acquireLease('user:1', 60_000)) ?? expect.unreachable();
    await world.ledger.recordKeypairDisabled(lease, { serialHex: pair?.serialHex ?? '', because: 'admin' });
    await world.ledger.releaseLease(lease);
    world.clock.advance(31 * DAY_MS);
    const wanted = {
      kind: 'obliterate',
      user: USER,
      keypair: pair?.keypairId,
      noLegalHold: 'Legal said so.',
    };
    const { body } = await requestKeypairChange(acting, ADMIN, wanted);
    const { request, digest } = body as { request: string; digest: string };
    const other = 'other@acme.example';
    await expect(confirmKeypairRequest(deps(), other, request, { statement: digest })).rejects.toMatchObject(
      refused,
    );
    expect((await world.ledger.readKeypairRequest(request))?.state).toBe('requested');
    expect((await confirmKeypairRequest(acting, other, request, { statement: digest })).status).toBe(202);
  });

  it('is refused a move of their pairs to another key service where there are no others', async () => {
    const from = POLICY.rules[0]?.keyServiceUrl;
    const to = 'https://kacls.new.example/v1';
    const moved = rules.map((rule) => ({ ...rule, keyServiceUrl: to }));
    const observed = { ...world, policies: inForce({ ...POLICY, rules: moved }) };
    await expect(requestKeyMove(observed, ADMIN, { from, to, dryRun: true })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/1 users? with key pairs .* only observe/),
    });
    const others = [{ ...moved[0], name: 'others', observeOnly: false }] as Policy['rules'];
    const acting = { ...world, policies: inForce({ ...POLICY, rules: others }) };
    const { body } = await requestKeyMove(acting, ADMIN, { from, to, dryRun: true });
    expect(body).toEqual({ dryRun: true, keypairs: 1, users: 1, observed: 0 });
  });

  it('may report a key as compromised', async () => {
    const answer = await requestRekey(deps(), ADMIN, { users: [USER], reason: 'keyCompromise' });
    expect(answer.status).toBe(202);
  });

  it.each([
    { kind: 'disable', reason: 'The laptop was lost.' },
    { kind: 'obliterate', noLegalHold: 'Legal said there is none.' },
  ])('is refused a change to a key pair ($kind)', async (wanted) => {
    const [pair] = (await world.ledger.readUser('1')).keypairs;
    await expect(
      requestKeypairChange(deps(), ADMIN, { ...wanted, user: USER, keypair: pair?.keypairId }),
    ).rejects.toMatchObject(refused);
  });
});
