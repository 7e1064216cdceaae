/** What `sealwright explain` says of those who wait, leave or have left, and what comes next: in Gmail's, the guard's and the clock's cases. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { nextStep } from '../../shared/audit/next-step.ts';
import type { Policy } from '../../shared/domain/policy.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { sealwright, TOKEN } from '../cli/sealwright.ts';
import { type Served, serveHandler } from '../functions/support/served.ts';
import { adminOver } from '../support/admin.ts';
import {
  createWorld,
  DAY_MS,
  HOUR_MS,
  type Materials,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { DEPARTURES, policyOf, policyRule } from '../support/policy.ts';

const ANA = '1';
const BEN = '2';

const smallKeys = { modulusBits: 2048 } as const;
const POLICY: Policy = policyOf([
  policyRule({
    ...smallKeys,
    name: 'grace',
    scope: { kind: 'org-unit', path: '/Staff/Grace' },
    grace: { ...DEPARTURES.grace, deleteMs: 7 * DAY_MS },
  }),
  policyRule({
    ...smallKeys,
    name: 'split',
    scope: { kind: 'org-unit', path: '/Staff/Split' },
    profile: 'split',
  }),
  policyRule(smallKeys),
]);

let materials: Materials;
let world: World;
let served: Served;
let policy: Policy;

beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  await served?.close();
  await world?.close();
  world = await createWorld(materials);
  policy = POLICY;
  served = await serveHandler(adminOver({ ...world, deps: { ...world.deps, policy } }), world.log);
});
afterAll(async () => {
  await served.close();
  await world.close();
});

const look = async (...userIds: readonly string[]) => {
  for (const userId of userIds)
    await reconcile({ ...world.deps, policy }, userId, {
      source: 'watch',
      eventId: 'event-7',
      event: 'update',
    });
};
const enter = async (userId: string, orgUnitPath = '/Staff') => {
  world.directory.put({ userId, primaryEmail: `user-${userId}@acme.example`, orgUnitPath });
  await look(userId);
};

/** By chapter; instants, serials and ids replaced by what they are. */
async function explained(userId: string): Promise<Readonly<Record<string, string>>> {
  const { exit, stdout, stderr } = await sealwright(['explain', userId], {
    SEALWRIGHT_ADMIN_URL: served.url,
    SEALWRIGHT_ADMIN_TOKEN: TOKEN,
  });
  expect([exit, stderr]).toEqual([0, '']);
  const text = stdout
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/g, 'INSTANT')
    .replaceAll(/\b0?[0-9a-f]{36}\b/g, 'SERIAL')
    .replaceAll(/key pair [\w-]+([.,])/g, 'key pair ID$1');
  return Object.fromEntries(
    text.split('\n\n').map((chapter) => {
      const [title = '', ...sentences] = chapter.trim().split('\n');
      return [title, sentences.map((sentence) => sentence.trim()).join('\n')];
    }),
  );
}

const HELD =
  'An admin decides: "sealwright held list" names the held set, "sealwright held show DIGEST" everybody in it, "sealwright held approve DIGEST" carries it out and "sealwright held dismiss DIGEST" does not. Until then nothing is taken away; at INSTANT somebody looks whether the user is back.';

describe('sealwright explain', () => {
  it('says of somebody suspended since when, by what, and that the certificate goes when the grace period ends', async () => {
    await enter(ANA);
    world.directory.put({ userId: ANA, suspended: true });
    await look(ANA);
    const { State, Certificate, Next } = await explained(ANA);
    expect(State).toContain('Suspended since INSTANT.');
    expect(State).toContain('Leaving began with a notification of the directory (update, event event-7)');
    expect(Certificate).toContain('The identity of user-1@acme.example uses it since INSTANT.');
    expect(Next).toBe(
      'At INSTANT the grace period ends: every certificate of theirs that is still good is revoked, unless the user is back before or so many leave at once that an admin has to decide.',
    );
  });

  it('names the end of the grace period of somebody who leaves, though an overlap ends before', async () => {
    await enter(ANA);
    await world.ledger.recordRekeyJob({
      requestedBy: 'admin@acme.example',
      reason: 'superseded',
      users: [{ userId: ANA, primaryEmail: 'user-1@acme.example' }],
    });
    await look(ANA);
    world.directory.put({ userId: ANA, suspended: true });
    await look(ANA);
    const ends = new Date(world.clock.now().getTime() + 30 * DAY_MS).toISOString().slice(0, 10);
    const { stdout } = await sealwright(['explain', ANA], {
      SEALWRIGHT_ADMIN_URL: served.url,
      SEALWRIGHT_ADMIN_TOKEN: TOKEN,
    });
    expect(stdout).toContain(`At ${ends} 12:00:00Z the grace period ends`);
    const { Next = '' } = await explained(ANA);
    expect(Next.split('\n')[1]).toBe('At INSTANT the replaced certificate SERIAL is revoked (superseded).');
  });

  it('says the end of an overlap once', async () => {
    await enter(ANA);
    await world.ledger.recordRekeyJob({
      requestedBy: 'admin@acme.example',
      reason: 'superseded',
      users: [{ userId: ANA, primaryEmail: 'user-1@acme.example' }],
    });
    await look(ANA);
    expect((await explained(ANA))['Next']).toBe(
      'At INSTANT the replaced certificate SERIAL is revoked (superseded).',
    );
  });

  it('says of somebody deleted in a grace period what is gone from Gmail, and by which event', async () => {
    await enter(ANA, '/Staff/Grace');
    world.directory.remove(ANA);
    await look(ANA);
    const { State, Certificate, Next } = await explained(ANA);
    expect(State).toContain('is leaving since INSTANT');
    expect(State).toContain('Leaving began with a notification of the directory (update, event event-7)');
    expect(State).toContain('went with the account, which was deleted at INSTANT.');
    expect(Certificate).toContain('Gmail had it as key pair ID, which went with the account.');
    expect(Certificate).not.toMatch(/uses it since|Gmail holds it/);
    expect(Next).toMatch(/^At INSTANT the grace period ends: every certificate/);
  });

  it('says of somebody deleted and held which command decides, and by which event it began', async () => {
    const all = ['1', '2', '3', '4', '5', '6'];
    for (const userId of all) await enter(userId);
    for (const userId of all) world.directory.remove(userId);
    await look(...all);
    const { State, Certificate, Next } = await explained('6');
    expect(State).toContain('Held: 5 users departed');
    expect(State).toContain('Leaving began with a notification of the directory (update, event event-7)');
    expect(Certificate).toContain('Gmail had it as key pair ID, which went with the account.');
    expect(Certificate).not.toMatch(/uses it since|Gmail holds it/);
    expect(Next).toBe(HELD);
  });

  it('says of somebody blocked without client-side encryption that Gmail is asked again', async () => {
    world.gmail.setEnabled(ANA, false);
    await enter(ANA);
    expect((await explained(ANA))['State']).toContain('The last look could not be finished.');
    world.clock.advance(25 * HOUR_MS);
    await look(ANA);
    const { State, Next } = await explained(ANA);
    expect(State).toContain('is blocked since INSTANT: Waits for Gmail');
    expect(State).toContain('The last 2 looks in a row could not be finished.');
    expect(Next).toBe(
      'At INSTANT Gmail is asked again; once it takes part, everything else follows by itself.',
    );
  });

  it('says of split keys of both certificates where they are, and when the first is renewed', async () => {
    await enter(ANA, '/Staff/Split');
    const { Certificate = '', Next } = await explained(ANA);
    expect(Certificate.match(/The (signing|encryption) certificate SERIAL/g)).toHaveLength(2);
    expect(Certificate.match(/Gmail holds it as key pair ID\./g)).toHaveLength(2);
    expect(Certificate.match(/The identity of user-1@acme\.example uses it since INSTANT\./g)).toHaveLength(
      2,
    );
    expect(Next).toBe(
      'At INSTANT the renewal begins, by itself; the certificate in use stays good meanwhile.',
    );
  });

  it('says of whoever waits for the end of a stop who stopped it, why, and the command that ends it', async () => {
    await world.ledger.recordStop({ by: 'admin@acme.example', reason: 'trying the brake' });
    await enter(BEN);
    const { State, Next } = await explained(BEN);
    expect(State).toContain(': trying the brake. Nothing is begun for anybody until an admin resumes.');
    expect(Next).toMatch(/^It goes on once an admin ends the stop \("sealwright resume"\), by itself;/);
  });
});

/** Every next action that the code names: in a plan, in a row, or in SQL. */
const actionsIn = (source: string): readonly string[] =>
  [...source.matchAll(/(?:nextAction:|next_action =) '([a-z-]+)'/g)].flatMap(([, action]) => action ?? []);
const UNSPOKEN = nextStep('something that no version ever wrote', 'now');
const unspoken = (actions: readonly string[]) =>
  actions.filter((action) => nextStep(action, 'now') === UNSPOKEN);

describe('what happens next', () => {
  const root = join(import.meta.dirname, '../../shared');
  const written = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => actionsIn(readFileSync(join(root, name), 'utf8')));

  it('has a sentence for each action that the code writes', () => {
    expect(written).toEqual(expect.arrayContaining(['resume', 'ask-gmail-again', 'certify-device']));
    expect(unspoken(written)).toEqual([]);
  });

  it('is found missing for one that has none', () => {
    const planted = "UPDATE users SET next_action = 'do-the-dishes', x = { nextAction: 'renew' }";
    expect(unspoken(actionsIn(planted))).toEqual(['do-the-dishes']);
  });

  it('has a sentence for each step that is tried again', () => {
    expect(nextStep('retry-set-identity', '9 o’clock')).toBe(
      'At 9 o’clock setting the identity in Gmail is tried again, by itself.',
    );
  });

  it('is that somebody looks, where a row is older than these words', () => {
    expect(nextStep('retry-wrap-key', '9 o’clock')).toBe('At 9 o’clock they are looked at.');
    expect(nextStep('constructor', '9 o’clock')).toBe('At 9 o’clock they are looked at.');
  });
});
