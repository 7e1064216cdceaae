import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { parsePolicy } from '../../shared/config/policy.ts';
import { KNOWN_FIELDS } from '../../shared/config/policy-schema.ts';
import { SealwrightError } from '../../shared/errors.ts';
import { policyOf, policyRule } from '../support/policy.ts';

const DAY_MS = 86_400_000;

const minimal = `version: 1
rules:
  - name: staff
    orgUnit: /Staff
    keyService: https://kacls.acme.example
`;

function mistakes(text: string): string {
  try {
    parsePolicy(text);
  } catch (error) {
    if (error instanceof SealwrightError && error.code === 'policy-invalid') return error.message;
    throw error;
  }
  throw new Error('the policy was taken');
}

/** Of a file that has this text as the value of a field under `where`; the empty text where it is taken. */
function whatIsSaid(where: string, field: string, value: string): string {
  const given = { [field]: 'VALUE' };
  const rule = { name: 'staff', orgUnit: '/Staff', keyService: 'https://kacls.acme.example' };
  const isOfRule = !['', 'rules', 'protected', 'guard'].includes(where);
  const file = {
    version: 1,
    rules: [{ ...rule, ...(where === 'rules' ? given : isOfRule ? { [where]: given } : {}) }],
    ...(where === '' ? given : where === 'rules' || isOfRule ? {} : { [where]: given }),
  };
  try {
    parsePolicy(JSON.stringify(file).replace('"VALUE"', ` ${value} `));
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

describe('a policy file', () => {
  test('with only what is needed gets the documented defaults', () => {
    expect(parsePolicy(minimal)).toEqual(policyOf([policyRule()]));
  });

  test('with a subject of names keeps the template, and with the address alone has none', () => {
    const person = {
      commonName: '{givenName} {familyName}',
      givenName: '{givenName}',
      surname: '{familyName}',
      organization: 'Acme GmbH',
      organizationIdentifier: 'NTRDE-HRB123456',
    };
    expect(parsePolicy(`${minimal}    subject: ${JSON.stringify(person)}\n`).rules[0]?.subject).toEqual(
      person,
    );
    expect(parsePolicy(`${minimal}    subject: { commonName: "{address}" }\n`)).toEqual(parsePolicy(minimal));
  });

  test.each([
    ['', 'policy.yaml:1:1: the file is empty: a policy is a mapping with "version: 1" and "rules"'],
    ['# later\n', 'policy.yaml:1:1: the file is empty: a policy is a mapping with "version: 1" and "rules"'],
    [
      '\u0000\ufffd',
      'policy.yaml:1:1: this is no policy: a policy is a mapping with "version: 1" and "rules"',
    ],
    ['- name: staff\n', 'policy.yaml:1:1: this is no policy: a policy is a mapping with'],
  ])('that is %j is refused with what a policy is', (text, message) => {
    expect(mistakes(text)).toContain(message);
  });

  test('with a typo is refused with line, column and the field that was meant', () => {
    expect(mistakes(`${minimal}    keysize: 3072\n`)).toContain(
      'policy.yaml:6:5: unknown field "keysize"; did you mean "keySize"?',
    );
  });

  test('with a typo deep inside is refused at its own place', () => {
    expect(mistakes(`${minimal}    grace:\n      leav: 24h\n`)).toContain(
      'policy.yaml:7:7: unknown field "leav"; did you mean "leave"?',
    );
  });

  test('with several mistakes names them all', () => {
    const message = mistakes('version: 2\nrules:\n  - name: staff\n    orgUnit: Staff\n');
    expect(message).toContain('policy.yaml:1:1: version is 1');
    expect(message).toContain('policy.yaml:4:5: orgUnit: an org unit is an absolute path');
    expect(message).toContain('keyService');
  });

  test.each([
    ['keySize: 1024', 'keySize is 2048, 3072 or 4096'],
    [
      'subject: { commonname: x }',
      'policy.yaml:6:16: unknown field "commonname"; did you mean "commonName"?',
    ],
    [
      'subject: { commonName: "{mail}" }',
      'policy.yaml:6:5: the subject template asks for {mail} in commonName',
    ],
    ['subject: { commonName: "{givenName} {familyName}" }', 'the subject template lacks organization'],
    ['subject: { commonName: "{address}", ou: Sales }', 'unknown field "ou"'],
    ['validity: 820d', 'at most 27 months'],
    ['validity: 36h', 'whole days'],
    ['validity: soon', '"soon" is no length of time'],
    ['renewBefore: 274d', 'renewBefore must be less than three quarters of validity'],
    ['validity: 40d', 'renewBefore must be less than three quarters of validity'],
    ['renewSpread: 340d', 'renewBefore and renewSpread together must be less than validity'],
    ['renewBefore: 0s', 'policy.yaml:6:5: renewBefore is less than a day'],
    ['renewBefore: 23h', 'renewBefore is less than a day'],
    ['renewSpread: 0s', 'policy.yaml:6:5: renewSpread is less than a tenth of renewBefore'],
    ['renewSpread: 71h', 'renewSpread is less than a tenth of renewBefore'],
    ['group: a@acme.example', 'names both an orgUnit and a group'],
    [
      'exclude: { orgUnits: [/Other] }',
      'policy.yaml:6:27: /Other is not below /Staff, so excluding it does nothing',
    ],
    ['exclude: { orgUnits: [/] }', 'excluding / leaves nobody of /Staff'],
    ['exclude: { users: [zoe] }', 'a user is named by an address'],
    ['exclude: { groups: [legal] }', 'a group is named by its address'],
    ['grace: { superseded: 366d }', 'superseded is longer than validity'],
    ['grace: { leave: 366d }', 'policy.yaml:6:14: leave is longer than validity'],
    ['grace: { suspended: 366d }', 'policy.yaml:6:14: suspended is longer than validity'],
    ['grace: { archived: 8784h }', 'policy.yaml:6:14: archived is longer than validity'],
    ['grace: { deleted: 366d }', 'policy.yaml:6:14: deleted is longer than validity'],
    ['grace: { superseded: soon }', 'superseded is a length of time such as 72h, or never'],
    ['grace: { wrappedKeys: 29d }', 'wrappedKeys is at least 30d'],
    ['grace: { wrappedKeys: never }', 'wrappedKeys is keep, or a length of time such as 180d'],
    ['onLeave: { identity: keep, keyPair: disable }', 'nothing could be sent with it'],
    ['aliases: maybe', 'aliases is no, next (in the next certificate) or at-once'],
    ['mode: obsrve', 'policy.yaml:6:5: mode is "act" or "observe", not "obsrve"; did you mean "observe"?'],
    ['mode: dry-run', 'policy.yaml:6:5: mode is "act" or "observe", not "dry-run".'],
    ['profile: dualuse', 'profile is "dual-use" or "split", not "dualuse"; did you mean "dual-use"?'],
    [
      'onLeave: { identity: delte }',
      'policy.yaml:6:16: identity is "delete" or "keep", not "delte"; did you mean "delete"?',
    ],
    ['aliases: nxt', 'at-once (a new one when they change); did you mean "next"?'],
    ['keySource: smartcard', 'did you mean "smart-card"?'],
    ['grace: { superseded: nevr }', 'did you mean "never"?'],
    [
      'grace: { leave: 24 }',
      'policy.yaml:6:14: leave: 24 is no length of time; write a number and a unit, such as 30d',
    ],
    ['validity: 365', 'validity: 365 is no length of time'],
    ['grace: 5', 'grace is a mapping of leave, suspended, archived, deleted, superseded, wrappedKeys, not 5'],
    ['exclude:', 'exclude has no value: it is a mapping of orgUnits, groups, users, or left out'],
    [
      'exclude: { groups: a@acme.example }',
      'groups is a list, not "a@acme.example"; write ["a@acme.example"]',
    ],
    ['exclude: { orgUnits: [3] }', 'policy.yaml:6:27: orgUnits: an org unit is an absolute path'],
    ['exclude: { users: *x }', 'policy.yaml:6:23: *x stands for nothing: no &x comes before it'],
    ['orgUnit: /Other', 'policy.yaml:6:5: this field stands here twice; leave one of the two out'],
    ['\tmode: act', 'a tab indents this line; YAML wants spaces'],
    [
      'keySource: smart-card',
      'policy.yaml:5:5: keys on smart cards are in no key service; leave keyService out',
    ],
    ['keySource: hsm', 'keySource is made (here), supplied (wrapped already, in a folder) or smart-card'],
    ['keySource: supplied\n    profile: split', 'a supplied key both signs and encrypts'],
  ])('with %s is refused, saying %s', (line, message) => {
    expect(mistakes(`${minimal}    ${line}\n`)).toContain(message);
  });

  test.each([
    ['guard: { minimumPerHour: 300 }', 'minimumPerHour (300) is more than maximumPerHour (200)'],
    [
      'guard: { minimumPerHour: 1001, maximumPerHour: 2000 }',
      'policy.yaml:6:10: minimumPerHour: at most 1000',
    ],
    ['guard: { minimumPerHour: 1.5 }', 'minimumPerHour is a whole number, not 1.5'],
    ['guard: { minimumPerHour: -1 }', 'minimumPerHour is at least 0, not -1'],
    ['guard: { maximumPerHour: many }', 'maximumPerHour is a number, not "many"'],
    ['protected: { superAdmins: yes }', 'superAdmins is true or false, not "yes"; did you mean true?'],
    ['guard: { maximumPerHour: 10001 }', 'policy.yaml:6:10: maximumPerHour: at most 10000'],
    ['guard: { sharePercent: 51 }', 'policy.yaml:6:10: sharePercent: at most 50'],
    ['protected: { user: [a@acme.example] }', 'unknown field "user"; did you mean "users"?'],
  ])('with %s is refused, saying %s', (line, message) => {
    expect(mistakes(`${minimal}${line}\n`)).toContain(message);
  });

  test.each([
    ['ftp://kacls.acme.example', false],
    ['http://kacls.acme.example', false],
    ['http://127.0.0.1.example', false],
    ['https://kacls.acme.example/v1', true],
    ['http://127.0.0.1:8602', true],
    ['http://localhost:8602', true],
    ['http://[::1]:8602', true],
  ])('with the key service at %s is taken: %s', (address, isTaken) => {
    const text = minimal.replace(/keyService: .*/, `keyService: "${address}"`);
    if (isTaken) expect(parsePolicy(text).rules[0]?.keyServiceUrl).toContain(address.slice(0, 12));
    else expect(mistakes(text)).toContain(`${address} is no https address`);
  });

  test('that is renewed a day before its end, or a quarter of a shorter life, is taken', () => {
    expect(parsePolicy(`${minimal}    renewBefore: 1d\n    renewSpread: 3h\n`).rules).toHaveLength(1);
    expect(parsePolicy(`${minimal}    validity: 3d\n    renewBefore: 18h\n`).rules).toHaveLength(1);
  });

  test('with limits that just make sense is taken', () => {
    const lines = 'grace: { leave: 365d, suspended: 365d, archived: 365d, deleted: 365d, superseded: 365d }';
    const guard = 'guard: { minimumPerHour: 1000, sharePercent: 50, maximumPerHour: 10000 }';
    expect(parsePolicy(`${minimal}    ${lines}\n${guard}\n`).guard).toEqual({
      ...{ minimumPerHour: 1000, shareOfCovered: 0.5, maximumPerHour: 10_000 },
    });
  });

  test('with certificates that live shorter than a suspension usually lasts is taken', () => {
    const lines = '    validity: 20d\n    renewBefore: 10d\n';
    expect(parsePolicy(`${minimal}${lines}`).rules[0]?.validityDays).toBe(20);
    expect(mistakes(`${minimal}${lines}    grace: { suspended: 31d }\n`)).toContain('longer than validity');
  });

  test('whose rule covers nobody is refused at the rule, together with other mistakes', () => {
    const message = mistakes('version: 1\nrules:\n  - name: staff\n    keySize: 1\n');
    expect(message).toContain('policy.yaml:3:5: the rule names neither an "orgUnit" nor a "group" to cover');
    expect(message).toContain('keySize is 2048, 3072 or 4096');
  });

  test('whose keys are on smart cards names no key service, and may split signing from encryption', () => {
    const cards = minimal.replace(/keyService: .*/, 'keySource: smart-card');
    const { keyServiceUrl: _none, ...rule } = policyRule({ keySource: 'smart-card' });
    expect(parsePolicy(cards)).toEqual(policyOf([rule]));
    expect(parsePolicy(`${cards}    profile: split\n`).rules[0]?.profile).toBe('split');
  });

  test('without a key service is refused for every other source of keys', () => {
    for (const line of ['keySize: 3072', 'keySource: supplied']) {
      expect(mistakes(minimal.replace(/keyService: .*/, line))).toContain(
        'policy.yaml:3:5: "keyService" is missing',
      );
    }
  });

  test('that covers one group twice is refused, without regard to case', () => {
    const rule = (name: string, group: string) =>
      `  - name: ${name}\n    group: ${group}\n    keyService: https://kacls.acme.example\n`;
    expect(
      mistakes(`version: 1\nrules:\n${rule('a', 'x@acme.example')}${rule('b', 'X@ACME.example')}`),
    ).toContain('policy.yaml:7:5: two rules cover x@acme.example');
  });

  test('that covers one unit twice is refused, without regard to case', () => {
    expect(
      mistakes(
        `${minimal}  - name: again\n    orgUnit: /STAFF\n    keyService: https://kacls.acme.example\n`,
      ),
    ).toContain('policy.yaml:7:5: two rules cover /STAFF');
  });

  test('takes every field', () => {
    const text = `version: 1
rules:
  - name: legal
    group: Legal@Acme.example
    exclude: { orgUnits: [/Staff/Interns], groups: [Temps@acme.example], users: [Zoe@acme.example, "111222333444555"] }
    mode: observe
    profile: split
    keySize: 4096
    validity: 180d
    renewBefore: 20d
    renewSpread: 15d
    renewKey: same
    keyService: https://kacls.acme.example
    aliases: at-once
    grace: { leave: 1h, suspended: 2d, archived: 3d, deleted: 4d, superseded: never }
    onLeave: { identity: keep }
    onSuspend: { identity: delete, keyPair: disable }
    onArchive: { keyPair: disable }
protected: { users: [ceo@acme.example], groups: [board@acme.example], orgUnits: [/Board], superAdmins: true }
`;
    const policy = parsePolicy(text);
    expect(policy.rules).toEqual([
      policyRule({
        name: 'legal',
        scope: { kind: 'group', address: 'legal@acme.example' },
        exclude: {
          orgUnits: [{ path: '/Staff/Interns' }],
          groups: [{ address: 'temps@acme.example' }],
          users: ['zoe@acme.example', '111222333444555'],
        },
        observeOnly: true,
        profile: 'split',
        modulusBits: 4096,
        validityDays: 180,
        renewBeforeMs: 20 * DAY_MS,
        renewSpreadMs: 15 * DAY_MS,
        renewKey: 'same',
        aliases: 'at-once',
        grace: {
          leaveMs: 3_600_000,
          suspendMs: 2 * DAY_MS,
          archiveMs: 3 * DAY_MS,
          deleteMs: 4 * DAY_MS,
          supersededMs: undefined,
          wrappedKeysMs: undefined,
        },
        onLeave: { identity: 'keep', keypair: 'keep' },
        onSuspend: { identity: 'delete', keypair: 'disable' },
        onArchive: { identity: 'delete', keypair: 'disable' },
      }),
    ]);
    expect(policy.protected).toEqual({
      orgUnits: [{ path: '/Board' }],
      groups: [{ address: 'board@acme.example' }],
      users: ['ceo@acme.example'],
      superAdmins: true,
    });
  });

  test('written for an earlier version, with aliases true or false, still means the same', () => {
    expect(parsePolicy(`${minimal}    aliases: true\n`).rules[0]?.aliases).toBe('next');
    expect(parsePolicy(`${minimal}    aliases: false\n`).rules[0]?.aliases).toBe('no');
  });

  /** What the library that checks the shape says by itself. */
  const FOREIGN = /Invalid (input|option|string)|expected|received|Too (small|big)|[<>]=/;

  test.each(Object.entries(KNOWN_FIELDS))(
    'with whatever in a field under %j is refused in our own words, if it is refused',
    (where, fields) => {
      const wrong = ['3', '-1', '1.5', '"x"', '""', 'true', '', '[]', '[3, x]', '{}', '{ x: 1 }', '1e400'];
      const said = fields.flatMap((field) => wrong.map((value) => whatIsSaid(where, field, value)));
      expect(said.filter((text) => text.includes('The policy was not taken')).length).toBeGreaterThan(5);
      expect(said.filter((text) => FOREIGN.test(text))).toEqual([]);
    },
  );

  test('is found to be refused in foreign words where it is', () => {
    const foreign = z.strictObject({ a: z.number().max(3), b: z.enum(['x']) }).safeParse({ a: 4, b: 'y' });
    expect(foreign.error?.issues.filter(({ message }) => FOREIGN.test(message))).toHaveLength(2);
  });

  test('that says something twice by an anchor is taken', () => {
    const text = `${minimal}    exclude: &those { users: [zoe@acme.example] }\nprotected: *those\n`;
    expect(parsePolicy(text).protected.users).toEqual(['zoe@acme.example']);
  });

  test('that is no YAML is refused with its line', () => {
    expect(mistakes('version: 1\nrules: [\n')).toMatch(/policy\.yaml:\d+:\d+: /);
  });

  test('that is empty is refused', () => {
    expect(() => parsePolicy('')).toThrow(SealwrightError);
  });
});
