/** The questions about policies, from the command line through the admin function to the planner, over the real ledger. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type ActivePolicySource,
  activePolicySource,
  policyDigest,
} from '../../shared/activation/active-policy.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { type Served, serveHandler } from '../functions/support/served.ts';
import { adminOver } from '../support/admin.ts';
import {
  CAUSE,
  createWorld,
  KEY_SERVICE_URL,
  type Materials,
  makeMaterials,
  START,
  type World,
} from '../support/fakes/world.ts';
import { DEPARTURES, policyOf, policyRule } from '../support/policy.ts';
import { sealwright, TOKEN } from './sealwright.ts';

const rule = (name: string, scope: string, more = '') =>
  `  - name: ${name}\n    ${scope}\n    keyService: ${KEY_SERVICE_URL}\n    keySize: 2048\n${more}`;
const policyText = (...rules: string[]) => `version: 1\nrules:\n${rules.join('')}`;
const STAFF = policyText(rule('staff', 'orgUnit: /Staff'));

let materials: Materials;
let world: World;
let served: Served;
let folder: string;
let policies: ActivePolicySource;
let environment: Record<string, string>;

beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials);
  folder = mkdtempSync(join(tmpdir(), 'sealwright-policy-'));
  for (const [userId, orgUnitPath] of [
    ['1', '/Staff'],
    ['2', '/Staff/Legal'],
    ['3', '/Contractors'],
  ] as const) {
    world.directory.put({ userId, primaryEmail: `user-${userId}@acme.example`, orgUnitPath });
  }
  policies = activePolicySource(world, { text: STAFF, name: 'policy.yaml', activatedBy: 'test' });
  const { policy } = await policies.current();
  for (const userId of ['1', '2']) await reconcile({ ...world.deps, policy }, userId, CAUSE);
  await serve();
});
const serve = async (limits: { readonly forecastWithinMs?: number } = {}): Promise<void> => {
  const admin = adminOver(world, { ...limits, policies });
  served = await serveHandler(admin, world.log);
  environment = { SEALWRIGHT_ADMIN_URL: served.url, SEALWRIGHT_ADMIN_TOKEN: TOKEN };
};
/** Three pages of the directory. */
const PEOPLE = 8;
/** From here on the directory is too large to be gone through in one request: each has time for a page. */
const outgrow = async (): Promise<void> => {
  await served.close();
  for (let id = 4; id <= PEOPLE; id += 1) {
    const primaryEmail = `user-${id}@acme.example`;
    world.directory.put({ userId: String(id), primaryEmail, orgUnitPath: '/Contractors' });
  }
  await serve({ forecastWithinMs: 0 });
};
afterEach(async () => {
  await served.close();
  await world.close();
  rmSync(folder, { recursive: true, force: true });
});

const fileWith = (text: string): string => {
  const file = join(folder, 'policy.yaml');
  writeFileSync(file, text);
  return file;
};
const ask = async (...words: string[]) => {
  const { exit, stdout, stderr } = await sealwright(words, environment);
  return { exit, stdout, stderr };
};
const json = async (...words: string[]) => {
  const { exit, stdout } = await ask(...words, '--json');
  return { exit, document: JSON.parse(stdout) as Record<string, unknown> };
};
const states = async () =>
  (await world.ledger.users()).map(({ user, leaves }) => [user?.state, leaves.length]);

describe('sealwright policy what-if', () => {
  it('of the policy in force changes nobody', async () => {
    const { exit, stdout } = await ask('policy', 'what-if', fileWith(STAFF));
    expect(exit).toBe(0);
    expect(stdout).toContain('Nobody changes.');
    expect(stdout).toContain('0 joins, 0 leaves');
  });

  it('says who would join and who would leave, at once and later, and does nothing', async () => {
    const before = await states();
    const file = fileWith(
      policyText(rule('legal', 'orgUnit: /Staff/Legal'), rule('others', 'orgUnit: /Contractors')),
    );
    const { exit, document } = await json('policy', 'what-if', file);
    expect(exit).toBe(0);
    expect(document).toMatchObject({
      users: 3,
      changes: { joins: 1, leaves: 1, 'other-rule': 1 },
      coveredByRule: { legal: 1, others: 1 },
      steps: { 'make-key': 1, 'issue-leaf': 1, 'create-keypair': 1, 'set-identity': 1 },
      later: { 'revoke-leaf': 1, 'delete-identity': 1 },
      guard: [{ scope: 'tenant', covered: 2, departing: 1, limit: 5, held: false }, { scope: 'unit:/staff' }],
    });
    expect(document['forecasts']).toMatchObject([
      { user: 'user-1@acme.example', change: 'leaves', from: 'staff', departs: true, steps: [] },
      { user: 'user-2@acme.example', change: 'other-rule', from: 'staff', to: 'legal', departs: false },
      { user: 'user-3@acme.example', change: 'joins', to: 'others', departs: false },
    ]);
    expect(await states()).toEqual(before);
  });

  it('ends with 3 when the guard would hold what it takes away', async () => {
    const tight = `guard: { minimumPerHour: 0, sharePercent: 0 }\n${policyText(rule('legal', 'orgUnit: /Staff/Legal'))}`;
    const { exit, stdout } = await ask('policy', 'what-if', fileWith(tight));
    expect(exit).toBe(3);
    expect(stdout).toContain(
      '1 user would depart of 2 covered; 0 an hour are let through: the guard would hold them',
    );
  });

  it('on recorded events also answers for those whom no rule has ever covered', async () => {
    const file = fileWith(policyText(rule('others', 'orgUnit: /Contractors')));
    const since = START.toISOString();
    const before = await json('policy', 'what-if', file, '--since', since);
    expect(before.document).toMatchObject({ changes: { joins: 0 } });
    const { policy } = await policies.current();
    const cause = { source: 'audit', eventId: 'insert-1', event: 'CREATE_USER' } as const;
    await reconcile({ ...world.deps, policy }, '3', cause);
    const { document } = await json('policy', 'what-if', file, '--since', since);
    expect(document).toMatchObject({ changes: { joins: 1 } });
    const forecasts = document['forecasts'] as readonly { readonly userId: string }[];
    expect(forecasts.find(({ userId }) => userId === '3')).toMatchObject({
      to: 'others',
      event: { source: 'audit', event: 'CREATE_USER' },
    });
  });

  it('on recorded events answers only for those whom an event named', async () => {
    const file = fileWith(policyText(rule('others', 'orgUnit: /Contractors')));
    const replayed = await json('policy', 'what-if', file, '--since', START.toISOString());
    expect(replayed.document).toMatchObject({ users: 2, changes: { leaves: 2 } });
    expect(replayed.document['forecasts']).toMatchObject([
      { event: { source: 'watch', event: 'update' } },
      {},
    ]);
    world.clock.advance(3_600_000);
    const later = new Date(START.getTime() + 3_600_000).toISOString();
    expect((await json('policy', 'what-if', file, '--since', later)).document).toMatchObject({ users: 0 });
    world.directory.put({ userId: '1', suspended: true });
    await reconcile(world.deps, '1', { source: 'audit', eventId: 'insert-1', event: 'SUSPEND_USER' });
    expect((await json('policy', 'what-if', file, '--since', later)).document).toMatchObject({
      users: 1,
      forecasts: [{ userId: '1', event: { source: 'audit', event: 'SUSPEND_USER' } }],
    });
  });

  it('on events of the future is refused, as there are none', async () => {
    const since = new Date(world.clock.now().getTime() + 1).toISOString();
    const file = fileWith(policyText(rule('staff', 'orgUnit: /Staff')));
    expect(await ask('policy', 'what-if', file, '--since', since)).toMatchObject({
      exit: 1,
      stderr: expect.stringContaining(`"since": ${since} is in the future.`),
    });
  });

  it('on recorded events answers for the deleted too, and says what it cannot know', async () => {
    world.clock.advance(3_600_000);
    const since = world.clock.now().toISOString();
    const text = policyText(rule('staff', 'orgUnit: /Staff', '    grace: { deleted: 2d }\n'));
    world.directory.remove('2');
    const graceful = policyOf([policyRule({ grace: { ...DEPARTURES.grace, deleteMs: 3_600_000 } })]);
    const event = { source: 'audit', eventId: 'insert-2', event: 'DELETE_USER' } as const;
    await reconcile({ ...world.deps, policy: graceful }, '2', event);
    const { document } = await json('policy', 'what-if', fileWith(text), '--since', since);
    expect(document).toMatchObject({
      users: 1,
      later: { 'revoke-leaf': 1 },
      forecasts: [{ userId: '2', user: 'user-2@acme.example', event: { event: 'DELETE_USER' } }],
    });
    expect(document['notKnown']).toEqual([
      expect.stringContaining('Gmail is taken to be as the ledger left it'),
      expect.stringContaining('Addresses that changed hands'),
      expect.stringContaining('as they are today'),
    ]);
    world.directory.forget('2');
    const { stdout } = await ask('policy', 'what-if', fileWith(text), '--since', since);
    expect(stdout).toContain(
      '- One whom an event named is in no list of the directory any more, and nothing is said of them.',
    );
  });

  it('says what a rule that only observes would do, and counts none of it', async () => {
    const file = fileWith(
      policyText(
        rule('staff', 'orgUnit: /Staff'),
        rule('others', 'orgUnit: /Contractors', '    mode: observe\n'),
      ),
    );
    const { document } = await json('policy', 'what-if', file);
    expect(document).toMatchObject({ changes: { joins: 1 }, steps: {} });
    expect(document['forecasts']).toMatchObject([
      { observeOnly: true, steps: [{ kind: 'make-key' }, {}, {}, {}] },
    ]);
  });

  it('names unknown units with their lines', async () => {
    const { exit, stderr } = await ask(
      'policy',
      'what-if',
      fileWith(policyText(rule('legal', 'orgUnit: /Staff/Legl'))),
    );
    expect(exit).toBe(1);
    expect(stderr).toContain('policy:4:5: there is no org unit /Staff/Legl; did you mean /Staff/Legal?');
  });
});

describe('sealwright policy check --live', () => {
  it('counts whom each rule covers', async () => {
    const { exit, stdout } = await ask('policy', 'check', '--live', fileWith(STAFF));
    expect(exit).toBe(0);
    expect(stdout).toMatch(/RULE {3}COVERS {2}USERS.*\nstaff {2}\/Staff {2}2 /);
  });

  it('names unknown units and groups, and rules that match nobody', async () => {
    const unknown = policyText(
      rule('a', 'group: nobody@acme.example', '    exclude: { orgUnits: [/Stff] }\n'),
      rule('b', 'orgUnit: /Staff'),
    );
    const { exit, document } = await json('policy', 'check', '--live', fileWith(unknown));
    expect(exit).toBe(1);
    expect(document['mistakes']).toEqual([
      { line: 4, column: 5, message: 'there is no group nobody@acme.example' },
      { line: 7, column: 27, message: 'there is no org unit /Stff; did you mean /Staff?' },
    ]);
    world.directory.members.set('empty@acme.example', new Set());
    const empty = policyText(rule('a', 'group: empty@acme.example'), rule('b', 'orgUnit: /Staff'));
    const second = await ask('policy', 'check', '--live', fileWith(empty));
    expect(second.exit).toBe(1);
    expect(second.stdout).toContain('policy.yaml:4:5: rule "a" matches nobody');
  });
});

describe('a policy that protects or excludes somebody whom nobody knows', () => {
  const file = () =>
    fileWith(
      policyText(
        rule('staff', 'orgUnit: /Staff', '    exclude: { users: [zoe@acme.exmaple] }\n'),
        'protected: { users: [ceo@exmaple.com, "111222333444999"] }\n',
      ),
    );

  it('is told of by policy check --live, at each name', async () => {
    const { exit, document } = await json('policy', 'check', '--live', file());
    expect(exit).toBe(1);
    const messages = (document['mistakes'] as readonly { message: string }[]).map(({ message }) => message);
    expect(messages).toEqual([
      expect.stringContaining('nobody in the directory answers to zoe@acme.exmaple, and nobody deleted'),
      expect.stringContaining('nobody in the directory answers to ceo@exmaple.com'),
      expect.stringContaining('nobody in the directory has the id 111222333444999'),
    ]);
  });

  it('is not put in force', async () => {
    const { exit, stderr } = await ask('policy', 'activate', file(), '--yes');
    expect(exit).toBe(1);
    expect(stderr).toContain('nobody in the directory answers to ceo@exmaple.com');
  });
});

describe('sealwright policy test', () => {
  it('walks the precedence and says why', async () => {
    world.directory.members.set('pilots@acme.example', new Set(['2']));
    const file = fileWith(
      policyText(
        rule('staff', 'orgUnit: /Staff'),
        rule('pilots', 'group: pilots@acme.example'),
        rule('legal', 'orgUnit: /Staff/Legal'),
      ),
    );
    const { exit, stdout } = await ask('policy', 'test', 'user-2@acme.example', '--file', file);
    expect(exit).toBe(0);
    expect(stdout.split('\n\n')[1]).toBe(`\
RULE    FITS  WHY
pilots  yes   user-2@acme.example is in group pilots@acme.example
legal   yes   user-2@acme.example is in org unit /Staff/Legal
staff   yes   user-2@acme.example is in org unit /Staff
`);
    const { document } = await json('policy', 'test', '3');
    expect(document).toMatchObject({
      standing: 'outside',
      why: 'no rule covers /Contractors',
      considered: [{ rule: 'staff', fits: false }],
    });
  });

  it('of nobody says so', async () => {
    const { exit, stderr } = await ask('policy', 'test', 'nobody@acme.example');
    expect(exit).toBe(1);
    expect(stderr).toContain('Nobody in the directory is called nobody@acme.example');
  });
});

describe('sealwright policy activate', () => {
  const wider = policyText(rule('staff', 'orgUnit: /Staff'), rule('others', 'orgUnit: /Contractors'));

  it('shows what it would do, and does it only with --yes', async () => {
    const shown = await ask('policy', 'activate', fileWith(wider));
    expect(shown.exit).toBe(0);
    expect(shown.stdout).toContain('Nothing was changed. With --yes the policy is put in force.');
    expect((await world.ledger.latestPolicyActivation())?.digest).toBe(policyDigest(STAFF));

    const done = await json('policy', 'activate', fileWith(wider), '--yes');
    expect(done.exit).toBe(0);
    expect(done.document).toMatchObject({ activated: true, digest: policyDigest(wider) });
    expect(await world.ledger.latestPolicyActivation()).toMatchObject({
      digest: policyDigest(wider),
      activatedBy: 'admin@acme.example',
      automatic: false,
      pins: { units: { '/staff': 'id:/staff', '/contractors': 'id:/contractors' } },
    });
    const trail = await world.ledger.auditTrail({ limit: 1000 });
    expect(trail.at(-1)).toMatchObject({
      step: 'policy-activated',
      cause: { actor: 'admin@acme.example' },
      reason: expect.stringContaining('1 join, 0 leave, 0 would depart'),
    });
  });

  it('refuses a rule that matches nobody unless told that it may', async () => {
    world.directory.members.set('empty@acme.example', new Set());
    const file = fileWith(
      policyText(rule('a', 'group: empty@acme.example'), rule('staff', 'orgUnit: /Staff')),
    );
    const refused = await ask('policy', 'activate', file, '--yes');
    expect(refused.exit).toBe(1);
    expect(refused.stderr).toContain('rule "a" matches nobody');
    expect((await ask('policy', 'activate', file, '--yes', '--allow-empty-rules')).exit).toBe(0);
  });
});

describe('a guard that lets more than half of those covered depart within an hour', () => {
  const generous = (minimum: number) => `${STAFF}guard: { minimumPerHour: ${minimum} }\n`;
  const SAID = /lets 6 departures an hour through.+covers 11 users.+minimumPerHour to 5 or less/;
  const grow = (people: number) => {
    for (let id = 4; id < 4 + people - 2; id += 1)
      world.directory.put({ userId: String(id), primaryEmail: `user-${id}@acme.example` });
  };

  it('is warned of by policy check --live, what-if and activate, and refused by none', async () => {
    grow(11);
    const file = fileWith(generous(6));
    for (const words of [['check', '--live'], ['what-if'], ['activate'], ['activate', '--yes']]) {
      const { exit, stdout } = await ask('policy', ...words, file);
      expect([words, exit, stdout]).toEqual([words, 0, expect.stringMatching(SAID)]);
      const { document } = await json('policy', ...words, file);
      const { warnings } = (document['whatIf'] ?? document) as Record<string, unknown>;
      expect([words, warnings]).toEqual([words, [expect.stringMatching(SAID)]]);
    }
    expect((await world.ledger.latestPolicyActivation())?.digest).toBe(policyDigest(generous(6)));
  });

  it.each([
    ['of eleven by a minimum of five, the default', 11, 5],
    ['of eight, however much it lets through', 8, 100],
    ['of ten, however much it lets through', 10, 100],
  ])('is not mentioned: %s', async (_whom, people, minimum) => {
    grow(people);
    const file = fileWith(generous(minimum));
    for (const words of [['check', '--live'], ['what-if'], ['activate', '--yes']]) {
      expect((await ask('policy', ...words, file)).stdout).not.toContain('Warning');
      const { document } = await json('policy', ...words, file);
      expect(document['whatIf'] ?? document).not.toHaveProperty('warnings');
    }
  });

  it('is warned of where everybody was compared in parts, and not where only those were whom events named', async () => {
    grow(11);
    await served.close();
    await serve({ forecastWithinMs: 0 });
    const file = fileWith(generous(6));
    expect((await ask('policy', 'what-if', file)).stdout).toMatch(SAID);
    const { document } = await json('policy', 'activate', file, '--yes');
    expect(document).toMatchObject({ warnings: [expect.stringMatching(SAID)] });
    await served.close();
    await serve();
    const since = ['--since', '2020-01-01T00:00:00Z'];
    expect((await ask('policy', 'what-if', file, ...since)).stdout).not.toContain('Warning');
  });
});

describe('of a directory too large to be gone through in one request, sealwright', () => {
  const wider = policyText(rule('staff', 'orgUnit: /Staff'), rule('others', 'orgUnit: /Contractors'));

  beforeEach(() => outgrow());

  it('policy what-if asks for it in parts, and answers what one request would', async () => {
    const parts = await json('policy', 'what-if', fileWith(wider));
    await served.close();
    await serve();
    const whole = await json('policy', 'what-if', fileWith(wider));
    expect([parts.exit, whole.exit]).toEqual([0, 0]);
    expect(parts.document).toEqual(whole.document);
    expect(parts.document).toMatchObject({ users: PEOPLE, changes: { joins: PEOPLE - 2 } });
  });

  it('policy what-if ends where another policy came into force between two parts', async () => {
    const { fullPage } = world.directory;
    let pages = 0;
    const inForce = await policies.current();
    const others = { ...inForce.pins, units: { ...inForce.pins.units, '/other': 'id:/other' } };
    world.directory.fullPage = async (request) => {
      pages += 1;
      if (pages === 2) Object.assign(policies, { current: async () => ({ ...inForce, pins: others }) });
      return await fullPage.call(world.directory, request);
    };
    const { exit, stderr } = await ask('policy', 'what-if', fileWith(wider));
    expect(exit).toBe(1);
    expect(stderr).toContain('Another policy came into force');
  });

  it('policy what-if ends where the pages go round in a circle', async () => {
    const { fullPage } = world.directory;
    world.directory.fullPage = async (request) => {
      const page = await fullPage.call(world.directory, request);
      return { ...page, nextPageToken: request.pageToken === '3' ? '6' : '3' };
    };
    const { exit, stderr } = await ask('policy', 'what-if', fileWith(wider));
    expect(exit).toBe(1);
    expect(stderr).toContain('round in a circle');
  });

  it('policy what-if --since says that it takes too long', async () => {
    const { exit, stderr } = await ask(
      'policy',
      'what-if',
      fileWith(wider),
      '--since',
      '2020-01-01T00:00:00Z',
    );
    expect(exit).toBe(1);
    expect(stderr).toContain('Comparing everybody takes longer than a request may');
  });

  it('policy activate puts it in force with what the parts came to, and refuses a rule that none of them matched', async () => {
    world.directory.members.set('empty@acme.example', new Set());
    const empty = policyText(rule('a', 'group: empty@acme.example'), rule('staff', 'orgUnit: /Staff'));
    const refused = await ask('policy', 'activate', fileWith(empty), '--yes');
    expect(refused.stderr).toContain('rule "a" matches nobody');
    const done = await json('policy', 'activate', fileWith(wider), '--yes');
    expect(done).toMatchObject({ exit: 0, document: { activated: true, digest: policyDigest(wider) } });
    expect((await world.ledger.auditTrail({ limit: 1000 })).at(-1)).toMatchObject({
      step: 'policy-activated',
      reason: expect.stringContaining(`in force, compared in parts: ${PEOPLE - 2} join, 0 leave`),
      details: { joins: PEOPLE - 2 },
    });
  });

  it('policy check --live still names unknown units, and says that nobody was counted', async () => {
    const good = await json('policy', 'check', '--live', fileWith(wider));
    expect(good.exit).toBe(0);
    expect(good.document).toMatchObject({ valid: true, notCounted: expect.stringContaining('longer') });
    expect(good.document).not.toHaveProperty('coveredByRule');
    expect((await ask('policy', 'check', '--live', fileWith(wider))).stdout).toContain(
      'was not counted, so that neither rules that match nobody were looked for nor a guard too generous for so few:',
    );
    const bad = await ask('policy', 'check', '--live', fileWith(policyText(rule('a', 'orgUnit: /Stff'))));
    expect(bad.exit).toBe(1);
    expect(bad.stdout).toContain('did you mean /Staff?');
  });

  it('policy activate goes without a forecast where told to twice, and both answer and audit trail say so', async () => {
    expect((await ask('policy', 'activate', fileWith(wider), '--without-forecast')).exit).toBe(2);
    expect((await world.ledger.latestPolicyActivation())?.digest).toBe(policyDigest(STAFF));

    const done = await json('policy', 'activate', fileWith(wider), '--without-forecast', '--yes');
    expect(done.exit).toBe(0);
    expect(done.document).toMatchObject({
      activated: true,
      digest: policyDigest(wider),
      noForecast: expect.stringContaining('nobody was compared'),
    });
    expect(done.document).not.toHaveProperty('whatIf');
    expect((await world.ledger.latestPolicyActivation())?.digest).toBe(policyDigest(wider));
    expect((await world.ledger.auditTrail({ limit: 1000 })).at(-1)).toMatchObject({
      step: 'policy-activated',
      cause: { actor: 'admin@acme.example' },
      reason: expect.stringContaining('No forecast was made'),
      details: { forecast: false },
    });
  });

  it('policy activate --without-forecast still refuses names that the directory does not have', async () => {
    const file = fileWith(policyText(rule('a', 'orgUnit: /Stff')));
    const { exit, stderr } = await ask('policy', 'activate', file, '--without-forecast', '--yes');
    expect(exit).toBe(1);
    expect(stderr).toContain('did you mean /Staff?');
  });
});

it('the admin API refuses to put a policy in force unseen unless the request says so', async () => {
  await outgrow();
  const response = await fetch(`${served.url}/v1/policy/activate`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ policy: STAFF }),
  });
  expect(response.status).toBe(413);
  expect(await response.text()).toContain('withoutForecast');
});
