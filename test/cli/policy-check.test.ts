import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { launch, sealwright } from './sealwright.ts';

const GOOD = `version: 1
guard:
  sharePercent: 2.5
rules:
  - name: staff
    orgUnit: /Staff
    keyService: https://kacls.acme.example/v1
  - name: legal
    orgUnit: /Staff/Legal
    keyService: https://kacls.acme.example/v1
    keySize: 4096
    validity: 180d
    renewBefore: 36h
    aliases: true
    grace: { leave: 0s, suspended: 7d, superseded: 90m }
`;
const BAD = `version: 1
rules:
  - name: staff
    orgUnit: Staff
    keyService: https://kacls.acme.example/v1
    keysize: 2048
    validity: 900d
  - name: staff
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealwright-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fileWith = (text: string): string => {
  const file = join(folder, 'policy.yaml');
  writeFileSync(file, text);
  return file;
};

describe('sealwright policy check', () => {
  it('prints the rules of a good file as a table, defaults included', async () => {
    const file = fileWith(GOOD);
    const { exit, stdout, stderr } = await launch(['policy', 'check', file]);
    expect([exit, stderr]).toEqual([0, '']);
    expect(stdout).toBe(`\
RULE   COVERS        MODE  PROFILE   KEY       VALID  RENEW       ALIASES  LEAVE  SUSPENDED  SUPERSEDED  KEY SERVICE
staff  /Staff        act   dual-use  RSA 3072  365d   30d before  no       1d     30d        3d          https://kacls.acme.example/v1
legal  /Staff/Legal  act   dual-use  RSA 4096  180d   36h before  next     0s     7d         90m         https://kacls.acme.example/v1

Guard  departures an hour: 5 or 2.5 % of the covered users, whichever is more, and at most 200
${file} is a good policy with 2 rules.
`);
  });

  it('prints the parsed policy with --json', async () => {
    const file = fileWith(GOOD);
    const { exit, stdout } = await sealwright(['policy', 'check', file, '--json']);
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      valid: true,
      file,
      policy: {
        rules: [
          { name: 'staff', modulusBits: 3072 },
          { name: 'legal', validityDays: 180 },
        ],
      },
    });
  });

  it('prints every mistake on a line of its own with file, line and column, and ends with 1', async () => {
    const file = fileWith(BAD);
    const { exit, stdout, stderr } = await launch(['policy', 'check', file]);
    expect([exit, stderr]).toEqual([1, '']);
    const lines = stdout.trimEnd().split('\n');
    const begin = (place: string) => expect.stringMatching(new RegExp(`^${place} `));
    expect(lines.slice(0, -1).map((line) => line.replace(file, 'FILE'))).toEqual([
      begin('FILE:4:5: orgUnit: an org unit is an absolute path'),
      begin('FILE:6:5: unknown field "keysize"; did you mean'),
      begin('FILE:7:5: validity: Gmail takes at most 27'),
      'FILE:8:5: the rule names neither an "orgUnit" nor a "group" to cover',
      'FILE:8:5: "keyService" is missing',
    ]);
    expect(lines.at(-1)).toBe('5 mistakes; a function with this policy would not start.');
  });

  it('gives a program the mistakes with their places', async () => {
    const file = fileWith(BAD);
    const { exit, stdout } = await sealwright(['policy', 'check', '--json', file]);
    expect(exit).toBe(1);
    const document = JSON.parse(stdout) as { mistakes: unknown[] };
    expect(document).toMatchObject({ valid: false, file });
    expect(document.mistakes).toContainEqual({
      line: 6,
      column: 5,
      message: 'unknown field "keysize"; did you mean "keySize"?',
    });
  });

  test.each([
    ['is no YAML', 'rules: [', /^\S+policy\.yaml:\d+:\d+: /],
    ['is empty', '', /^\S+policy\.yaml:1:1: /],
    ['is a text', 'hello', /^\S+policy\.yaml:1:1: /],
  ])('of a file that %s names the place', async (_what, text, line) => {
    const { exit, stdout } = await sealwright(['policy', 'check', fileWith(text)]);
    expect(exit).toBe(1);
    expect(stdout).toMatch(line);
  });

  test.each([
    ['is not there', () => join(folder, 'none.yaml'), 'there is no such file'],
    ['is a folder', () => folder, 'it is a folder'],
  ])('of a file that %s ends with 2', async (_what, file, sentence) => {
    const { exit, stdout, stderr } = await sealwright(['policy', 'check', file()]);
    expect([exit, stdout]).toEqual([2, '']);
    expect(stderr).toContain(`The policy file ${file()} cannot be read: ${sentence}.`);
  });
});
