import { beforeAll, describe, expect, test } from 'vitest';
import { ADMIN_ROUTES } from '../../functions/admin/routes.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import type { StepKind } from '../../shared/domain/step.ts';
import { USER_ID } from '../reconcile/workflows.ts';
import { manualClock } from '../support/fakes/clock.ts';
import { freshKeys } from '../support/fakes/key-pool.ts';
import { noDatabase, START } from '../support/fakes/world.ts';
import { type Campaign, crashEverywhere } from './campaign.ts';
import { effectsOf, gapsOf } from './effects.ts';
import { type CrashMaterials, makeCrashMaterials, type Workflow } from './workflow.ts';
import { ADMINS } from './workflows/admin.ts';
import { AUTHORITY } from './workflows/authority.ts';
import { KEYS } from './workflows/keys.ts';
import { PEOPLE } from './workflows/people.ts';
import { SOURCES } from './workflows/sources.ts';
import { UNSAFE, type Unsafe } from './workflows/unsafe.ts';

const WORKFLOWS: readonly Workflow[] = [...PEOPLE, ...KEYS, ...ADMINS, ...AUTHORITY, ...SOURCES];

let materials: CrashMaterials;
beforeAll(async () => {
  materials = await makeCrashMaterials();
});

const campaigns = new Map<string, Promise<Campaign>>();
const campaignOf = (workflow: Workflow): Promise<Campaign> => {
  const known = campaigns.get(workflow.name) ?? crashEverywhere(materials, workflow);
  campaigns.set(workflow.name, known);
  return known;
};

describe('a process that dies after any effect, or hears no answer to it, and is followed by another', () => {
  test.each(WORKFLOWS)('ends $name with $leaving', { timeout: 120_000 }, async (workflow) => {
    const { clean, deaths, calls } = await campaignOf(workflow);
    if (workflow.expect !== undefined) expect(clean.users[USER_ID]).toMatchObject(workflow.expect);
    if (workflow.expectMore !== undefined) expect(clean.more).toEqual(workflow.expectMore);
    expect(deaths, calls.join(' ')).toBeGreaterThan(1);
  });
});

describe('a campaign with keys that are made on the spot', () => {
  test('ends a join as one with keys of the pool does', { timeout: 120_000 }, async () => {
    const join = PEOPLE.find(({ name }) => name === 'a join') ?? expect.unreachable();
    const pool = freshKeys();
    const { clean, deaths } = await crashEverywhere({ ...materials, pool }, join);
    expect(clean.users[USER_ID]).toMatchObject(join.expect ?? {});
    expect(pool.drawn, 'a key for every process that died before it had written its own').toBeGreaterThan(
      deaths / 2,
    );
  });
});

describe('the campaign reports a workflow that', () => {
  test.each(UNSAFE)('$name', async (unsafe: Unsafe) => {
    await expect(crashEverywhere(materials, unsafe)).rejects.toThrow(unsafe.reported);
  });
});

/** Each is carried out, undisturbed, by some workflow of the campaign; the compiler names one that is missing here. */
const STEPS = {
  'make-key': true,
  'take-card-key': true,
  'issue-leaf': true,
  'sign-leaf': true,
  'issue-device-leaf': true,
  'retire-leaf': true,
  'revoke-leaf': true,
  'create-keypair': true,
  'enable-keypair': true,
  'disable-keypair': true,
  'obliterate-keypair': true,
  'move-keypair': true,
  'import-keypair': true,
  'set-identity': true,
  'delete-identity': true,
  'fulfil-wish': true,
  'fail-wish': true,
} satisfies Record<StepKind, true>;

/** Effects that are the whole of what they are part of: there is nothing to die between. */
const ALONE: Readonly<Record<string, string>> = {
  'ledger.recordStop': 'An admin stops everything with this one write, its line of the trail in it.',
  'ledger.recordResume': 'The same for going on.',
  'ledger.bookPace': 'A booking of quota; one that is lost is quota unused.',
  'ledger.holdPace': 'The same, after Google refused.',
};

/** Calls of the admin API that change nothing, or with one effect alone. */
const ROUTES_ALONE: Readonly<Record<string, string>> = {
  '/v1/policy/check': 'It only reads.',
  '/v1/policy/what-if': 'It only reads.',
  '/v1/policy/test': 'It only reads.',
  '/v1/stop': 'One write.',
  '/v1/resume': 'One write.',
  '/v1/keypair-requests/ID/cancel': 'One write.',
  '/v1/erasures/ID/cancel': 'One write.',
};

describe('the campaign', { timeout: 300_000 }, () => {
  /** One after another, because they draw from the same keys; most often each has been run by its own test. */
  const all = async () => {
    const done: Awaited<ReturnType<typeof campaignOf>>[] = [];
    for (const workflow of WORKFLOWS) done.push(await campaignOf(workflow));
    return done;
  };

  test('carries out every kind of step', async () => {
    const done = new Set((await all()).flatMap(({ steps }) => [...steps]));
    expect(gapsOf({ all: Object.keys(STEPS), done, alone: {} })).toEqual({
      missing: [],
      excusedForNothing: [],
    });
  });

  test('dies after every effect that there is on ledger and ports, but for those that stand alone', async () => {
    const ledger = createLedger({ database: noDatabase, clock: manualClock(START) });
    const done = new Set((await all()).flatMap(({ calls }) => calls));
    expect(gapsOf({ all: effectsOf(ledger), done, alone: ALONE })).toEqual({
      ...{ missing: [], excusedForNothing: [] },
    });
  });

  test('has every call of the admin API that changes something', () => {
    const posts = ADMIN_ROUTES.flatMap(({ method, path }) => (method === 'POST' ? [path] : []));
    const done = new Set(WORKFLOWS.flatMap(({ routes = [] }) => routes));
    expect(gapsOf({ all: posts, done, alone: ROUTES_ALONE })).toEqual({ missing: [], excusedForNothing: [] });
  });

  test('would name an effect that nothing exercises, and an excuse that is none', () => {
    const all = ['ledger.recordKey', 'ledger.recordNothingYet'];
    const done = new Set(['ledger.recordKey']);
    const alone = { 'ledger.recordKey': 'It was once.', 'ledger.gone': 'It is no more.' };
    expect(gapsOf({ all, done, alone })).toEqual({
      missing: ['ledger.recordNothingYet'],
      excusedForNothing: ['ledger.recordKey', 'ledger.gone'],
    });
    const ledger = createLedger({ database: noDatabase, clock: manualClock(START) });
    expect(effectsOf({ ...ledger, ...{ recordNothingYet: async () => undefined } })).toContain(
      'ledger.recordNothingYet',
    );
  });
});
