/** Every leaver's row has its seconds, also of those who could not go at once; what was the guard's time is told apart. */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Cause } from '../../shared/domain/hint.ts';
import type { PolicyRule } from '../../shared/domain/policy.ts';
import { retryable } from '../../shared/errors.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { sealwright, TOKEN } from '../cli/sealwright.ts';
import { type Served, serveHandler } from '../functions/support/served.ts';
import { failing, named } from '../reconcile/outcome.ts';
import { adminOver } from '../support/admin.ts';
import { createWorld, HOUR_MS, type Materials, makeMaterials, type World } from '../support/fakes/world.ts';
import { policyOf, policyRule } from '../support/policy.ts';

const HOUR_S = HOUR_MS / 1000;
const DELETED = { source: 'audit', event: 'DELETE_USER', actor: 'admin@acme.example' } as const;

let materials: Materials;
let world: World;
let served: Served;
let environment: Record<string, string>;

beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials);
  served = await serveHandler(adminOver(world), world.log);
  environment = { SEALWRIGHT_ADMIN_URL: served.url, SEALWRIGHT_ADMIN_TOKEN: TOKEN };
});
afterEach(async () => {
  await served.close();
  await world.close();
});

const look = (userId: string, cause: Omit<Cause, 'eventId'>, deps: ReconcileDeps = world.deps) =>
  reconcile(deps, userId, { eventId: `${cause.event} of ${userId}`, ...cause });

async function join(...userIds: readonly string[]): Promise<void> {
  for (const userId of userIds) {
    world.directory.put({ userId });
    await look(userId, { source: 'watch', event: 'add' });
  }
}

/** Two seconds after an admin did it. */
async function remove(userId: string, deps?: ReconcileDeps): Promise<void> {
  world.directory.remove(userId);
  await look(userId, { ...DELETED, at: new Date(world.clock.now().getTime() - 2_000) }, deps);
}

async function command(...words: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await sealwright(words, environment);
  expect([exit, stderr]).toEqual([0, expect.not.stringContaining('rror')]);
  return stdout;
}

/** Before anybody reads the row, `audit verify` has made all its figures anew from the entries. */
async function rowOf(userId: string): Promise<Record<string, unknown>> {
  world.clock.advance(30_000);
  await world.publishCrl();
  const { figures, findings } = JSON.parse(
    await command('audit', 'verify', '--json', '--at', world.clock.now().toISOString()),
  ) as { figures: { held: number; unheld: number }; findings: readonly unknown[] };
  expect([findings, figures]).toEqual([[], { held: figures.held, unheld: 0 }]);
  expect(figures.held).toBeGreaterThan(0);
  const lines = (await command('audit', 'export', '--user', userId)).trim().split('\n');
  const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const revoked = entries.filter(({ step }) => step === 'revoke-leaf');
  expect(revoked).toHaveLength(1);
  return revoked[0] ?? {};
}

/** Under which every departure is held. */
const strictly = (changes: Partial<PolicyRule['grace']> = {}): ReconcileDeps => {
  const rule = policyRule({ modulusBits: 2048 });
  const guard = { minimumPerHour: 0, shareOfCovered: 0, maximumPerHour: 0 };
  return {
    ...world.deps,
    policy: policyOf([{ ...rule, grace: { ...rule.grace, ...changes } }], { guard }),
  };
};

async function heldDeletion(): Promise<void> {
  await join('6');
  await remove('6', strictly());
}

async function approve(): Promise<void> {
  const { sets } = JSON.parse(await command('held', 'list', '--json')) as { sets: { digest: string }[] };
  await command('held', 'approve', sets[0]?.digest ?? '');
}

const approved = () => look('6', { source: 'due', event: 'depart' }, strictly());

describe('the row of a leaver whom the guard held', () => {
  it('has the seconds from the deletion, with the time held told apart from the delay', async () => {
    await heldDeletion();
    world.clock.advance(HOUR_MS);
    await look('6', { source: 'due', event: 'wait-for-approval' }, strictly());
    world.clock.advance(HOUR_MS);
    await approve();
    world.clock.advance(5_000);
    await approved();
    expect(await rowOf('6')).toMatchObject({
      cause: { source: 'due' },
      revocation: {
        crlNumber: expect.any(String),
        secondsFromEvent: 2 + 2 * HOUR_S + 5,
        secondsFromEventToCrl: 2 + 2 * HOUR_S + 35,
        eventTimeFrom: 'source',
        begunBy: { cause: { ...DELETED, eventId: 'DELETE_USER of 6' } },
        held: { seconds: 2 * HOUR_S, secondsToRevocation: 5, secondsToCrl: 35 },
      },
    });
    const [header = '', ...rows] = (await command('audit', 'export', '--format', 'csv', '--user', '6'))
      .trim()
      .split('\n');
    const row = rows.find((line) => line.includes(',revoke-leaf,'))?.split(',') ?? [];
    const column = (name: string) => row[header.split(',').indexOf(name)];
    expect([
      column('seconds_event_to_crl'),
      column('grace_seconds'),
      column('held_seconds'),
      column('seconds_approval_to_crl'),
    ]).toEqual([String(2 + 2 * HOUR_S + 35), '', String(2 * HOUR_S), '35']);
    expect(await command('explain', '6')).toMatch(
      /after the audit log entry DELETE_USER by admin@acme\.example \(DELETE_USER of 6\) at \S+ \S+ and the approval of held set \d+ by \S+: /,
    );
  });

  it('counts the time under an earlier set that was dismissed as held as well', async () => {
    await heldDeletion();
    const { sets } = JSON.parse(await command('held', 'list', '--json')) as { sets: { digest: string }[] };
    await command('held', 'dismiss', sets[0]?.digest ?? '');
    world.clock.advance(25 * HOUR_MS);
    await look('6', { source: 'due', event: 'ask-guard-again' }, strictly());
    await approve();
    await approved();
    expect(await rowOf('6')).toMatchObject({
      revocation: { held: { seconds: 25 * HOUR_S, secondsToRevocation: 0 } },
    });
  });

  it('takes the day of deletion from the directory where a sweep found them', async () => {
    await join('6');
    world.directory.remove('6');
    world.clock.advance(600_000);
    await look('6', { source: 'sweep', event: 'deleted' }, strictly());
    await approve();
    await approved();
    expect(await rowOf('6')).toMatchObject({
      revocation: { secondsFromEvent: 600, eventTimeFrom: 'directory', held: { seconds: 0 } },
    });
  });

  it('falls back to the first refusal where the trail has no beginning, as older versions wrote it', async () => {
    const silent: ReconcileDeps = {
      ...strictly(),
      ledger: {
        ...world.ledger,
        recordState: (lease, { audit: _, ...state }) => world.ledger.recordState(lease, state),
      },
    };
    await join('6');
    await remove('6', silent);
    world.clock.advance(HOUR_MS);
    await approve();
    await approved();
    expect(await world.ledger.auditEntriesOfStep('leave-begun', ['6'])).toEqual([]);
    expect(await rowOf('6')).toMatchObject({
      revocation: {
        secondsFromEvent: 2 + HOUR_S,
        begunBy: { cause: { ...DELETED, eventId: 'DELETE_USER of 6' } },
        held: { seconds: HOUR_S, secondsToRevocation: 0 },
      },
    });
  });
});

describe('the row of a leaver who could not go at once', () => {
  it('has the seconds from the deletion after a stop of everything', async () => {
    await join('1');
    await command('stop', 'the directory looks wrong');
    await remove('1');
    world.clock.advance(HOUR_MS);
    await look('1', { source: 'due', event: 'wait-for-resume' });
    await command('resume');
    await look('1', { source: 'due', event: 'resume' });
    expect(await rowOf('1')).toMatchObject({
      revocation: { secondsFromEvent: 2 + HOUR_S, begunBy: { cause: DELETED } },
    });
    expect(await world.ledger.auditEntriesOfStep('leave-begun', ['1'])).toHaveLength(1);
  });

  it('has the seconds from the deletion after a back-off', async () => {
    await join('1');
    const away = retryable('ledger-unavailable', 'The database is away.');
    const broken = world.surrounded(failing(away, named('recordRevocation')));
    await expect(remove('1', broken)).rejects.toBe(away);
    world.clock.advance(HOUR_MS);
    await look('1', { source: 'due', event: 'retry-revoke-leaf' });
    expect(await rowOf('1')).toMatchObject({
      revocation: { secondsFromEvent: 2 + HOUR_S, begunBy: { cause: DELETED } },
    });
  });

  it('has them of somebody moved out under a policy without a grace period, when the guard held them', async () => {
    const deps = strictly({ leaveMs: 0 });
    await join('6');
    world.directory.put({ userId: '6', orgUnitPath: '/Elsewhere' });
    const moved = { source: 'audit', event: 'MOVE_USER_TO_ORG_UNIT' } as const;
    await look('6', { ...moved, at: world.clock.now() }, deps);
    world.clock.advance(HOUR_MS);
    await approve();
    await look('6', { source: 'due', event: 'depart' }, deps);
    expect(await rowOf('6')).toMatchObject({
      revocation: { secondsFromEvent: HOUR_S, held: { seconds: HOUR_S }, begunBy: { cause: moved } },
    });
  });
});

describe('the row of a leaver whom a sweep found', () => {
  it('counts from the day of deletion that the directory shows', async () => {
    await join('1');
    world.directory.remove('1');
    world.clock.advance(HOUR_MS);
    await look('1', { source: 'sweep', event: 'deleted' });
    expect(await rowOf('1')).toMatchObject({
      revocation: {
        secondsFromEvent: HOUR_S,
        secondsFromEventToCrl: HOUR_S + 30,
        eventTimeFrom: 'directory',
      },
    });
  });

  it('says that nobody knows when the event was, where the directory does not, and counts from the first look', async () => {
    await join('1');
    world.directory.put({ userId: '1', orgUnitPath: '/Elsewhere' });
    await look('1', { source: 'sweep', event: 'outside' });
    world.clock.advance(25 * HOUR_MS);
    await look('1', { source: 'due', event: 'revoke' });
    expect(await rowOf('1')).toMatchObject({
      revocation: { secondsFromEvent: 25 * HOUR_S, eventTimeFrom: 'first-look' },
    });
  });
});
