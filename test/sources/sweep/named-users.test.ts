import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PageReader } from '../../../shared/adapters/directory/page-reader.ts';
import { toListedUser } from '../../../shared/adapters/directory/wire.ts';
import { ListedUsers } from '../../../shared/domain/listed-users.ts';
import { EMPTY_SELECTION } from '../../../shared/domain/place.ts';
import type { Policy } from '../../../shared/domain/policy.ts';
import { ruleCovering } from '../../../shared/plan/scope.ts';
import { type JudgedUsers, standings } from '../../../shared/sources/sweep/standings.ts';
import { policyOf, policyRule } from '../../support/policy.ts';

/** A draft that covers everybody but those who are named. */
const excluding = (users: readonly string[]): Policy =>
  policyOf([
    policyRule({
      scope: { kind: 'org-unit', path: '/' },
      exclude: { ...EMPTY_SELECTION, users: [...users] },
    }),
  ]);

const pageOf = (text: string) => new PageReader().read(new TextEncoder().encode(text)).users;
const kindsIn = ({ standings, kinds }: JudgedUsers) =>
  [...standings].map((standing) => kinds[standing]?.kind);

const IDS = ['161803398874989484820', '161803398874989484821', '7', '61803398874989484821'];
const ADDRESSES = ['ada', 'bob', "o'brien", 'a.long-name_with.0123456789'].flatMap((name) => [
  `${name}@acme.example`,
  `${name}@xn--bcher-kva.example`,
]);

/** As Google may write an address that is ours: with capitals, the domain in its own script, and any character escaped. */
const spelled = (address: string) =>
  fc
    .tuple(
      fc.mixedCase(fc.constantFrom(address, address.replace('xn--bcher-kva', 'bücher'))),
      fc.array(fc.boolean(), { maxLength: 40 }),
    )
    .map(([text, escapes]) => {
      const written = [...text].map((character, at) =>
        escapes[at] === true ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}` : character,
      );
      return `"${written.join('')}"`;
    });
const anySpelling = fc
  .constantFrom(...ADDRESSES)
  .chain((address) => fc.oneof(fc.constant(`"${address}"`), spelled(address)));
const userText = fc
  .record({
    id: fc.constantFrom(...IDS).map((id) => `"${id}"`),
    primaryEmail: anySpelling,
    aliases: fc.array(anySpelling, { maxLength: 3 }).map((aliases) => `[${aliases.join()}]`),
    orgUnitPath: fc.constantFrom('"/Staff"', '"/Labs"'),
  })
  .chain((fields) => fc.shuffledSubarray(Object.entries(fields), { minLength: 4 }))
  .map((fields) => `{${fields.map(([key, value]) => `"${key}":${value}`).join()}}`);

describe('whom a rule excludes by name, a sweep', () => {
  it('finds by id, by address and among aliases, in any order and however they are written', () => {
    const found = new Map<string | undefined, number>();
    fc.assert(
      fc.property(
        fc.array(userText, { minLength: 1, maxLength: 8 }),
        fc.subarray([...IDS, ...ADDRESSES], { maxLength: 3 }),
        (users, names) => {
          const policy = excluding(names);
          const sent = `{"users":[${users.join()}]}`;
          const { users: parsed } = JSON.parse(sent) as { users: object[] };
          const expected = parsed.map((user) => {
            const rule = ruleCovering(policy, toListedUser(user), undefined);
            return rule === undefined ? 'outside' : 'covered';
          });
          expect(kindsIn(standings(policy, undefined).page(pageOf(sent)))).toEqual(expected);
          for (const kind of expected) found.set(kind, (found.get(kind) ?? 0) + 1);
        },
      ),
      { numRuns: 2_000 },
    );
    expect(Math.min(found.get('outside') ?? 0, found.get('covered') ?? 0)).toBeGreaterThan(1_000);
  });

  it('finds without reading the others, also those who have an alias', () => {
    const users = Array.from({ length: 500 }, (_, index) => ({
      id: `1618033988749894${String(index).padStart(5, '0')}`,
      primaryEmail: `user${index}@acme.example`,
      ...(index % 2 === 0 ? { aliases: [`user${index}@mail.acme.example`] } : {}),
      orgUnitPath: '/Staff',
    }));
    const page = pageOf(JSON.stringify({ users }));
    const read = new Set<number>();
    const watched = new ListedUsers(page.words, page.paths, (position) => {
      read.add(position);
      return page.userAt(position);
    });
    const names = [
      'user6@mail.acme.example',
      'user8@acme.example',
      'user9@acme.example',
      users[11]?.id ?? '',
    ];
    const kinds = kindsIn(standings(excluding(names), undefined).page(watched));
    expect(kinds.flatMap((kind, position) => (kind === 'outside' ? position : []))).toEqual([6, 8, 9, 11]);
    // The first of all is read to judge everybody like them.
    expect([...read]).toEqual([0, 6, 8, 9, 11]);
  });
});

describe('whom a policy protects by name, a sweep', () => {
  it('judges by their unit like anybody else, without reading them', () => {
    const users = [1, 2, 3].map((number) => ({
      id: `16180339887498948482${number}`,
      primaryEmail: `user${number}@acme.example`,
      orgUnitPath: '/Staff',
    }));
    const page = pageOf(JSON.stringify({ users }));
    let read = 0;
    const watched = new ListedUsers(page.words, page.paths, (position) => {
      read += 1;
      return page.userAt(position);
    });
    const policy = policyOf([policyRule({ scope: { kind: 'org-unit', path: '/' } })], {
      protected: { ...EMPTY_SELECTION, superAdmins: false, users: ['user2@acme.example'] },
    });
    expect(kindsIn(standings(policy, undefined).page(watched))).toEqual(['covered', 'covered', 'covered']);
    expect(read).toBe(1);
  });
});
