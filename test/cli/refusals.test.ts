/**
 * What makes no sense, said at the command line: refused with a sentence that names it and says what to do, and nothing is done.
 * What the directory has to be asked for is in `policy-live.test.ts`, digests of sets and the second of two admins in
 * `held-and-stop.test.ts` and `erasures.test.ts`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reconcile } from '../../shared/reconcile/run.ts';
import { adminOver } from '../support/admin.ts';
import { CAUSE, createWorld, makeMaterials, type World } from '../support/fakes/world.ts';
import { ADMINS, type Desk, openDesk } from './desk.ts';
import { sealwright } from './sealwright.ts';

const RULE = `  - name: staff
    orgUnit: /Staff
    keyService: https://kacls.acme.example/v1
`;

let folder: string;
let world: World;
let ana: Desk['ana'];
let close: Desk['close'];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealwright-refusals-'));
  world = await createWorld(await makeMaterials());
  ({ ana, close } = await openDesk(() => adminOver(world, { tokens: ADMINS })));
  world.directory.put({ userId: '1' });
  await reconcile(world.deps, '1', CAUSE);
});
afterAll(async () => {
  await close();
  await world.close();
  rmSync(folder, { recursive: true });
});

const fileWith = (text: string): string => {
  const file = join(folder, 'policy.yaml');
  writeFileSync(file, text);
  return file;
};
/** The mistakes of a policy, without the file's name. */
const mistakesOf = async (...words: string[]) => {
  const { exit, stdout } = await sealwright(['policy', 'check', ...words]);
  const lines = stdout.trimEnd().split('\n');
  return { exit, mistakes: lines.slice(0, -1).map((line) => line.replace(/^\S*policy\.yaml:/, '')) };
};
const trail = async () => (await world.ledger.auditTrail({ limit: 1000 })).length;

describe('a policy that contradicts itself', () => {
  it.each([
    [
      'with two rules of one name',
      `${RULE}  - name: staff\n    orgUnit: /Others\n    keyService: https://kacls.acme.example/v1\n`,
      /^6:5: two rules are called "staff"$/,
    ],
    [
      'with two rules for one unit',
      `${RULE}  - name: more\n    orgUnit: /staff\n    keyService: https://kacls.acme.example/v1\n`,
      /^7:5: .*two rules cover \/staff$/,
    ],
    [
      'with a rule for a unit and a group',
      `${RULE}    group: all@acme.example\n`,
      /names both an orgUnit and a group; write a rule for each$/,
    ],
    [
      'that excludes everybody it covers',
      `${RULE}    exclude: { orgUnits: [/] }\n`,
      /excluding \/ leaves nobody of \/Staff$/,
    ],
    [
      'that excludes whom it does not cover',
      `${RULE}    exclude: { orgUnits: [/Others] }\n`,
      /not below \/Staff, so excluding it does nothing$/,
    ],
    [
      'that renews at birth',
      `${RULE}    validity: 30d\n    renewBefore: 29d\n`,
      /renewBefore must be less than three quarters of validity/,
    ],
    [
      'that renews too late for another try',
      `${RULE}    renewBefore: 1h\n`,
      /renewBefore is less than a day: /,
    ],
    [
      'that lets a certificate end before it is revoked',
      `${RULE}    validity: 30d\n    renewBefore: 5d\n    grace: { leave: 60d }\n`,
      /leave is longer than validity: /,
    ],
    [
      'that keeps an identity and disables its pair',
      `${RULE}    onLeave: { identity: keep, keyPair: disable }\n`,
      /delete the identity or keep the pair$/,
    ],
    [
      'that sends keys in the clear',
      RULE.replace('https:', 'http:'),
      /is no https address: users' private keys travel to it/,
    ],
    [
      'with keys on cards that a key service wraps',
      `${RULE}    keySource: smart-card\n`,
      /leave keyService out, or keySource$/,
    ],
  ])('%s is refused at its line', async (_how, rules, mistake) => {
    const { exit, mistakes } = await mistakesOf(fileWith(`version: 1\nrules:\n${rules}`));
    expect(exit).toBe(1);
    expect(mistakes).toEqual([expect.stringMatching(/^\d+:\d+: /)]);
    expect(mistakes[0]).toMatch(mistake);
  });

  it('is not put in force, and the sentence is the same', async () => {
    const before = await trail();
    const file = fileWith(`version: 1\nrules:\n${RULE}    exclude: { orgUnits: [/] }\n`);
    const { exit, stdout, stderr } = await ana('policy', 'activate', file, '--yes');
    expect([exit, stdout]).toEqual([1, '']);
    expect(stderr).toContain('excluding / leaves nobody of /Staff');
    expect(await trail()).toBe(before);
  });
});

describe('a limit that makes no sense', () => {
  it.each([
    ['minimumPerHour: 300', /minimumPerHour \(300\) is more than maximumPerHour \(200\)$/],
    ['minimumPerHour: 1001, maximumPerHour: 2000', /at most 1000: beyond it the guard is off in effect$/],
    ['sharePercent: 51', /at most 50: beyond it the guard is off in effect$/],
    ['maximumPerHour: 10001', /at most 10000: beyond it the guard is off in effect$/],
    ['maximumPerHour: 0', /maximumPerHour is at least 1, not 0$/],
    ['minimumPerHour: -1', /minimumPerHour is at least 0, not -1$/],
    ['minimumPerHour: 2.5', /minimumPerHour is a whole number, not 2\.5$/],
    ['sharePercent: lots', /sharePercent is a number, not "lots"$/],
  ])('of the guard, %s, is refused at its line', async (guard, mistake) => {
    const { exit, mistakes } = await mistakesOf(fileWith(`version: 1\nguard: { ${guard} }\nrules:\n${RULE}`));
    expect(exit).toBe(1);
    expect(mistakes).toEqual([expect.stringMatching(/^2:\d+: /)]);
    expect(mistakes[0]).toMatch(mistake);
  });

  it.each([
    ['keySize: 1024', /keySize is 2048, 3072 or 4096 \(RSA\)$/],
    ['validity: 900d', /validity: Gmail takes at most 27/],
    ['validity: 1', /validity: 1 is no length of time; write a number and a unit/],
    ['grace: { wrappedKeys: 5d }', /wrappedKeys is at least 30d: /],
  ])('of a rule, %s, is refused at its line', async (field, mistake) => {
    const { exit, mistakes } = await mistakesOf(fileWith(`version: 1\nrules:\n${RULE}    ${field}\n`));
    expect(exit).toBe(1);
    expect(mistakes).toEqual([expect.stringMatching(/^6:\d+: /)]);
    expect(mistakes[0]).toMatch(mistake);
  });
});

describe('a name that can be no user’s', () => {
  const HOW = "A user is named by an address, or by the directory's id, which is up to twenty-one digits";
  const COMMANDS: readonly (readonly [string, (name: string) => readonly string[]])[] = [
    ['user', (name) => ['user', '--', name]],
    ['explain', (name) => ['explain', '--', name]],
    ['audit', (name) => ['audit', `--user=${name}`]],
    ['policy test', (name) => ['policy', 'test', '--', name]],
    ['rekey', (name) => ['rekey', `--user=${name}`, '--reason', 'superseded']],
    ['rekey after a compromise', (name) => ['rekey', `--user=${name}`, '--reason', 'keyCompromise']],
    [
      'keypair disable',
      (name) => ['keypair', 'disable', '--reason', 'It was asked for.', '--', name, 'ANe1'],
    ],
    [
      'obliterate request',
      (name) => ['obliterate', 'request', '--no-legal-hold', 'Nobody is on hold.', '--', name, 'ANe1'],
    ],
  ];

  it.each(COMMANDS)(
    'is refused by %s, which says how a user is named, and nothing is written down',
    async (_command, words) => {
      const before = await trail();
      for (const name of [
        '12x',
        'ana',
        '-1',
        '1.0',
        '0x1',
        '../1',
        'ana@',
        '@acme.example',
        'a b@acme.example',
      ]) {
        const { exit, stdout, stderr } = await ana(...words(name));
        expect([name, exit, stdout]).toEqual([name, 1, '']);
        expect(stderr).toContain(` ${name}`);
        expect(stderr).toContain(HOW);
      }
      expect(await trail()).toBe(before);
    },
  );

  it.each(COMMANDS)('and holds a NUL is refused by %s in a sentence too', async (_command, words) => {
    const { exit, stdout, stderr } = await ana(...words('1\0'));
    expect([exit, stdout]).toEqual([1, '']);
    expect(stderr).toContain('holds a NUL character, which no name');
  });

  it.each(COMMANDS.filter(([command]) => command !== 'audit'))(
    'but could be somebody’s, and is nobody’s, is unknown to %s, without that advice',
    async (_command, words) => {
      for (const name of ['404', 'nobody@acme.example']) {
        const { exit, stderr } = await ana(...words(name));
        expect([name, exit]).toEqual([name, 1]);
        expect(stderr).toContain(` ${name}`);
        expect(stderr).not.toContain(HOW);
      }
    },
  );

  it.each(COMMANDS)('and is of more digits than an id has is unknown to %s', async (command, words) => {
    const { exit, stdout, stderr } = await ana(...words('1'.repeat(22)));
    if (command === 'audit') expect([exit, stdout]).toEqual([0, 'The audit trail has no such entries.\n']);
    else expect(stderr).toContain(HOW);
  });
});

describe('a unit or group that the directory does not have', () => {
  it.each([
    [
      'sweep start',
      ['sweep', 'start', '--org-unit', '/Stuff'],
      'There is no org unit /Stuff; did you mean /Staff?',
    ],
    [
      'rekey',
      ['rekey', '--org-unit', '/Stuff', '--reason', 'superseded'],
      'There is no org unit /Stuff; did you mean /Staff?',
    ],
    ['rekey', ['rekey', '--group', 'none@acme.example', '--reason', 'superseded'], 'none@acme.example'],
  ])('is refused by %s', async (_command, words, sentence) => {
    const before = await trail();
    const { exit, stdout, stderr } = await ana(...words);
    expect([exit, stdout]).toEqual([1, '']);
    expect(stderr).toContain(sentence);
    expect(await trail()).toBe(before);
  });
});
