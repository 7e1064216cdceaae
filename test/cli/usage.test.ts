import { describe, expect, it, test } from 'vitest';
import { COMMANDS } from '../../cli/commands.ts';
import { sealwright } from './sealwright.ts';

const CONNECTED = { SEALWRIGHT_ADMIN_URL: 'http://127.0.0.1:1/', SEALWRIGHT_ADMIN_TOKEN: 'a.b.c' };

describe('the command line', () => {
  it('without a word prints the commands on standard error and ends with 2', async () => {
    const { exit, stdout, stderr } = await sealwright([]);
    expect([exit, stdout]).toEqual([2, '']);
    for (const { name } of COMMANDS) expect(stderr).toContain(`  ${name}`);
  });

  test.each([['--help'], ['-h'], ['help']])(
    'with %s prints every command and the exit codes',
    async (word) => {
      const { exit, stdout, stderr } = await sealwright([word]);
      expect([exit, stderr]).toEqual([0, '']);
      for (const { name, summary } of COMMANDS)
        expect(stdout).toMatch(new RegExp(`^  ${name}.* {2}${summary}`, 'm'));
      expect(stdout).toContain('0 done, 1 failed, 2 usage, 3 refused by the guard, 4 partly done');
    },
  );

  test.each(COMMANDS.map((command) => [command.name, command] as const))(
    'explains every flag of "%s" with --help, whatever else is missing',
    async (name, command) => {
      const { exit, stdout, stderr } = await sealwright([...name.split(' '), '--help']);
      expect([exit, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(new RegExp(`^Usage: sealwright ${name}`, 'm'));
      for (const [flag, { help }] of Object.entries(command.flags)) {
        expect(stdout).toMatch(new RegExp(`^  --${flag}\\b`, 'm'));
        expect(stdout).toContain(help);
      }
      expect(await sealwright(['help', ...name.split(' ')])).toEqual({ exit, stdout, stderr });
    },
  );

  it('prints the version', async () => {
    expect(await sealwright(['--version'])).toEqual({ exit: 0, stdout: '9.8.7\n', stderr: '' });
  });

  test.each([
    ['an unknown command', ['usres'], 'There is no command "usres"; did you mean "users"?'],
    [
      'a command like none',
      ['frobnicate'],
      'There is no command "frobnicate". "sealwright --help" lists them.',
    ],
    ['half a command', ['policy'], '"policy" needs one more word: "policy check", "policy what-if"'],
    [
      'a misspelt second word',
      ['ca', 'inti'],
      'There is no command "ca inti"; known is "ca init", "ca health",',
    ],
    ['an unknown flag', ['users', '--stat', 'x'], '"users" has no flag --stat; did you mean --state?'],
    ['a flag of another command', ['users', '--wait'], '"users" has no flag --wait; known here are'],
    [
      'an unknown flag before any command',
      ['--verison'],
      'There is no flag --verison; did you mean --version?',
    ],
    ['a short flag', ['users', '-x'], '"users" has no flag -x'],
    ['a flag named like a property of every object', ['users', '--constructor'], 'has no flag --constructor'],
    ['a flag without its value', ['users', '--state'], '--state needs a value: --state STATE.'],
    ['a flag for a value', ['users', '--state', '--json'], '--state needs a value: --state STATE.'],
    ['an empty value', ['users', '--state='], '--state needs a value: --state STATE.'],
    ['a value for a switch', ['users', '--json=yes'], '--json takes no value.'],
    [
      'a flag twice',
      ['users', '--state', 'out', '--state', 'ready'],
      '--state was given twice; give it once.',
    ],
    ['a missing operand', ['user'], '"user" needs USER: sealwright user USER.'],
    ['an empty operand', ['user', ''], '"user" was given an empty USER.'],
    ['an operand of blanks', ['explain', ' '], '"explain" was given an empty USER.'],
    ['an operand too many', ['users', 'ben'], '"users" does not take "ben".'],
    [
      'an unknown state',
      ['users', '--state', 'blokced'],
      'There is no state "blokced"; did you mean "blocked"?',
    ],
    ['nobody to re-key', ['rekey', '--reason', 'superseded'], 'Say who: --user ADDRESS'],
    [
      'two kinds of whom to re-key',
      ['rekey', '--all', '--user', 'ben@acme.example', '--reason', 'superseded'],
      'and only one kind of them',
    ],
    ['no reason', ['rekey', '--all'], 'Say why: --reason keyCompromise,'],
    ['a misspelt reason', ['rekey', '--all', '--reason', 'supersded'], 'did you mean "superseded"?'],
    [
      'a reason that is never ours',
      ['rekey', '--all', '--reason', 'certificateHold'],
      '"certificateHold" is no reason',
    ],
    [
      'an org unit without its slash',
      ['rekey', '--org-unit', 'Staff', '--reason', 'superseded'],
      '--org-unit /Staff',
    ],
    [
      'an invalidity date that is none',
      ['rekey', '--all', '--reason', 'keyCompromise', '--invalidity-date', 'yesterday'],
      '"yesterday" is no instant',
    ],
    [
      'an invalidity date without a compromise',
      ['rekey', '--all', '--reason', 'superseded', '--invalidity-date', '2026-11-01T00:00:00Z'],
      'it goes with --reason keyCompromise',
    ],
    [
      'a dry run to wait for',
      ['rekey', '--all', '--reason', 'superseded', '--dry-run', '--wait'],
      'nothing to wait for',
    ],
    ['two forms of JSON', ['audit', '--json', '--json-lines'], 'Give --json or --json-lines, not both.'],
    ['a limit that is none', ['audit', '--limit', '0'], '--limit takes a whole number from 1 up, not "0".'],
    [
      'an entry number that is none',
      ['audit', '--after', 'x'],
      '--after takes a whole number from 0 up, not "x".',
    ],
  ])('refuses %s in one sentence and ends with 2', async (_what, words, sentence) => {
    const { exit, stdout, stderr } = await sealwright(words, CONNECTED);
    expect(exit).toBe(2);
    expect(stderr).toContain('sealwright: ');
    expect(stderr).toContain(sentence);
    expect(stderr).not.toMatch(/^\s+at /m);
    const wantsJson = words.includes('--json');
    expect(stdout === '').toBe(!wantsJson);
    if (wantsJson) expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'usage' } });
  });

  it('takes flags before the command and after "--" takes operands only', async () => {
    const before = await sealwright(['--json', 'policy', 'check', '/nowhere/policy.yaml']);
    expect(JSON.parse(before.stdout)).toMatchObject({ error: { code: 'usage' } });
    const after = await sealwright(['policy', 'check', '--', '--json']);
    expect(after).toMatchObject({ exit: 2, stdout: '' });
    expect(after.stderr).toContain('The policy file --json cannot be read: there is no such file.');
  });
});

describe('the connection to the admin API', () => {
  const token = { SEALWRIGHT_ADMIN_TOKEN: 'a.b.c' };
  const url = { SEALWRIGHT_ADMIN_URL: 'https://admin.acme.example' };

  test.each([
    ['no address', token, 'give --admin-url URL or set SEALWRIGHT_ADMIN_URL'],
    ['an address that is none', { ...token, SEALWRIGHT_ADMIN_URL: 'admin' }, '"admin" is no address'],
    ['another protocol', { ...token, SEALWRIGHT_ADMIN_URL: 'ftp://admin.acme.example' }, 'is no address'],
    [
      'plain http to another machine',
      { ...token, SEALWRIGHT_ADMIN_URL: 'http://admin.acme.example' },
      'Your token would travel unencrypted to admin.acme.example; use https',
    ],
    [
      'a password in the address',
      { ...token, SEALWRIGHT_ADMIN_URL: 'https://me:hunter2@admin.acme.example' },
      'has no user name, query or fragment',
    ],
    ['no token', url, 'gcloud auth print-identity-token'],
    ['something else for a token', { ...url, SEALWRIGHT_ADMIN_TOKEN: 'ya29.hunter2' }, 'is no ID token'],
  ])('refuses %s, says what to do and shows no secret', async (_what, environment, sentence) => {
    const { exit, stderr } = await sealwright(['users'], environment as Record<string, string>);
    expect(exit).toBe(2);
    expect(stderr).toContain(sentence);
    expect(stderr).not.toContain('hunter2');
  });

  it('names a token file that is not there', async () => {
    const { exit, stderr } = await sealwright(['users', '--token-file', '/nowhere/token'], url);
    expect(exit).toBe(2);
    expect(stderr).toContain('The token file /nowhere/token cannot be read (ENOENT).');
  });
});
