import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { retryable } from '../../shared/errors.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { sealwright, TOKEN } from '../cli/sealwright.ts';
import { type Served, serveHandler } from '../functions/support/served.ts';
import { adminOver } from '../support/admin.ts';
import { createWorld, DAY_MS, makeMaterials, type World } from '../support/fakes/world.ts';
import { policyOf, policyRule } from '../support/policy.ts';

let world: World;
let served: Served;
let environment: Record<string, string>;
let isAway = false;

beforeAll(async () => {
  world = await createWorld(await makeMaterials());
  const admin = adminOver(world, {
    directory: {
      ...world.directory,
      presence: (userId) =>
        isAway
          ? Promise.reject(retryable('directory-unavailable', 'The directory did not answer.'))
          : world.directory.presence(userId),
    },
  });
  served = await serveHandler(admin, world.log);
  environment = { SEALWRIGHT_ADMIN_URL: served.url, SEALWRIGHT_ADMIN_TOKEN: TOKEN };
});
afterAll(async () => {
  await served.close();
  await world.close();
});

const look = (event: string) =>
  reconcile(world.deps, '1', {
    source: 'audit',
    eventId: 'insert-7',
    event,
    actor: 'admin@acme.example',
    at: new Date(world.clock.now().getTime() - 1_500),
  });

/** What the command prints, instants, serials and ids replaced by what they are. */
async function explained(name: string): Promise<string> {
  const { exit, stdout, stderr } = await sealwright(['explain', name], environment);
  expect([exit, stderr]).toEqual([0, '']);
  return stdout
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/g, 'INSTANT')
    .replaceAll(/\b0?[0-9a-f]{36}\b/g, 'SERIAL')
    .replaceAll(/key pair [\w-]+([.,])/g, 'key pair ID$1');
}

describe('sealwright explain', () => {
  it('walks from the event over rule, certificate, key and pair to the identity, and says what comes next', async () => {
    world.directory.put({ userId: '1', primaryEmail: 'ben@acme.example' });
    await look('CREATE_USER');
    const text = await explained('ben@acme.example');
    expect(text).toContain(
      'ben@acme.example (user id 1) is ready since INSTANT: Rule "staff" covers the user',
    );
    expect(text).toMatch(/The account is in the org unit \/Staff; rule "staff" covers it: /);
    expect(text).toContain(
      'It began with the audit log entry CREATE_USER by admin@acme.example (insert-7) at INSTANT, 1.5 s after it: Rule "staff" covers',
    );
    expect(text).toContain('Certificate SERIAL for ben@acme.example was issued by');
    expect(text).toMatch(/Its private key is wrapped by https:\S+, which showed that it opens\./);
    expect(text).toContain('Gmail holds it as key pair ID.');
    expect(text).toContain('The identity of ben@acme.example uses it since INSTANT.');
    expect(text).toMatch(/Next\n {2}At INSTANT the renewal begins, by itself;/);
  });

  it('tells of a certificate that a re-key replaced, and when it will be revoked', async () => {
    await world.ledger.recordRekeyJob({
      requestedBy: 'admin@acme.example',
      reason: 'superseded',
      users: [{ userId: '1', primaryEmail: 'ben@acme.example' }],
    });
    await look('rekey');
    expect(await explained('1')).toMatch(
      /Earlier certificates\n {2}SERIAL, from INSTANT for ben@acme\.example, is replaced and will be revoked as superseded at INSTANT\. Gmail was given it as key pair ID, which was left enabled\./,
    );
  });

  it('tells of a leaver which event it was, and of the CRL only once it lists them', async () => {
    world.clock.advance(DAY_MS);
    world.directory.remove('1');
    await look('DELETE_USER');
    const before = await explained('ben@acme.example');
    expect(before).toContain('ben@acme.example (user id 1) is out since INSTANT');
    expect(before).toContain('The directory lists the account among the deleted.');
    expect(before).toMatch(
      /was revoked at INSTANT as cessationOfOperation after the audit log entry DELETE_USER by admin@acme\.example \(insert-7\) at INSTANT: The account was deleted\. No public CRL of \S+ lists it yet\. Gmail was given it as key pair ID, which went with the account\./,
    );
    expect(before).toContain(
      'The identity of ben@acme.example was set at INSTANT and went with the account, which was deleted at INSTANT.',
    );
    // Within the second of the revocation, and once more.
    for (const _time of [1, 2]) await world.publishCrl();
    expect(await explained('ben@acme.example')).toMatch(
      /CRL 2 of \S+, public since INSTANT, is the first that lists it\./,
    );
    expect(before).toContain('Nothing, until the directory says something else.');
  });

  it('says so when the directory does not answer, and still tells the rest', async () => {
    isAway = true;
    const text = await explained('1');
    expect(text).toContain('How the policy sees the account now is not known: The directory did not answer.');
    expect(text).toContain('is the first that lists it.');
    isAway = false;
  });

  it('says as what an account is protected, and was when it was deleted', async () => {
    const { policy } = world.deps;
    const deps = {
      ...world.deps,
      policy: { ...policy, protected: { ...policy.protected, superAdmins: true } },
    };
    const cause = { source: 'admin', eventId: 'hint-1', event: 'look' } as const;
    const guarded = await serveHandler(
      adminOver({ ...world, deps }, { directory: world.directory }),
      world.log,
    );
    const asked = { ...environment, SEALWRIGHT_ADMIN_URL: guarded.url };
    world.directory.put({ userId: '17', primaryEmail: 'zoe@acme.example', superAdmin: true });
    await reconcile(deps, '17', cause);
    const waits = "its departure waits for an admin, whatever the guard's limits say.";
    expect((await sealwright(['explain', '17'], asked)).stdout).toContain(
      `It is protected (a super admin): ${waits}`,
    );
    world.directory.remove('17');
    await reconcile(deps, '17', cause);
    const { stdout } = await sealwright(['explain', '17'], asked);
    expect(stdout).toContain(`among the deleted. It is protected (a super admin when last seen): ${waits}`);
    expect(stdout).toContain('Held: the account is protected (a super admin when last seen)');
    await guarded.close();
  });

  it('says of somebody no rule ever covered where they are, which rule is nearest, and that nothing is kept', async () => {
    world.directory.put({ userId: '5', primaryEmail: 'gus@acme.example', orgUnitPath: '/Contractors' });
    const text = await explained('gus@acme.example');
    expect(text).toContain(
      'gus@acme.example (user id 5) is in the directory, in the org unit /Contractors, and no rule has covered them at any look.',
    );
    expect(text).toContain('Nothing is kept about them, but for ninety days the last event that named them.');
    expect(text).toContain(
      'no rule of the policy in force covers it. The nearest is rule "staff": not in org unit /Staff.',
    );
    expect(text).toMatch(/Next\n {2}Nothing, until directory or policy say something else\.\n$/);
    expect(await explained('5')).toBe(text);
  });

  it('says of somebody whom a rule covers and nobody has looked at what they wait for', async () => {
    world.directory.put({ userId: '6', primaryEmail: 'hal@acme.example' });
    const text = await explained('hal@acme.example');
    expect(text).toMatch(/rule "staff" covers it: [\s\S]*in a wave after the next sweep/);
  });

  it('says of somebody deleted whom no rule covered that the directory lists them', async () => {
    world.directory.put({ userId: '7', primaryEmail: 'ida@acme.example', orgUnitPath: '/Contractors' });
    world.directory.remove('7');
    expect(await explained('7')).toContain('7 (user id 7) is among the deleted accounts of the directory');
  });

  it('refuses a name that neither ledger nor directory knows', async () => {
    const { exit, stderr } = await sealwright(['explain', 'nobody@acme.example'], environment);
    expect(exit).toBe(1);
    expect(stderr).toContain(
      'Neither the ledger nor the directory knows anybody called nobody@acme.example.',
    );
  });

  it('says of a key on a smart card where it is', async () => {
    world.directory.put({ userId: '9', primaryEmail: 'ivy@acme.example' });
    const { keyServiceUrl: _none, ...rule } = policyRule({ keySource: 'smart-card' });
    const { spkiDer } = await world.pool.generateKey(2048);
    await reconcile(
      {
        ...world.deps,
        policy: policyOf([rule]),
        cardKeys: { find: async () => ({ spkiDer, modulusBits: 2048 }) },
      },
      '9',
      { source: 'watch', eventId: 'event-9', event: 'add' },
    );
    expect(await explained('ivy@acme.example')).toContain(
      'Its private key is on a smart card, and nothing of it is wrapped.',
    );
  });
});
