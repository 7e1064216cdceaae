import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PageReader } from '../../../shared/adapters/directory/page-reader.ts';
import { SWEEP_PAGE_FIELDS, toUsersPage } from '../../../shared/adapters/directory/wire.ts';
import { LISTED_WORDS } from '../../../shared/domain/listed-users.ts';
import type { UsersPage } from '../../../shared/ports/directory.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** All that a page says, and the words of each user with the path in place of its number. */
function told({ users, nextPageToken }: UsersPage) {
  return {
    nextPageToken,
    users: Array.from({ length: users.length }, (_, position) => {
      const words = [...users.words.slice(position * LISTED_WORDS, (position + 1) * LISTED_WORDS)];
      return {
        user: users.userAt(position),
        userId: users.userIdAt(position),
        path: users.paths[words[4] ?? -1],
        words: [...words.slice(0, 4), words[5]],
      };
    }),
  };
}

/** The long way: everything is parsed, and then read. */
function slowly(text: string): unknown {
  try {
    return told(toUsersPage(JSON.parse(text)));
  } catch {
    return 'fails';
  }
}

/** What is told of a page that was accepted may not fail any more. */
function quickly(reader: PageReader, text: string): unknown {
  let page: UsersPage;
  try {
    page = reader.read(bytes(text));
  } catch {
    return 'fails';
  }
  return told(page);
}

/** A page that is read without parsing anybody. */
function unparsed(text: string): UsersPage {
  const sent = bytes(text);
  const { parse } = JSON;
  JSON.parse = () => expect.unreachable('a user was parsed');
  try {
    return new PageReader().read(sent);
  } finally {
    JSON.parse = parse;
  }
}

const address = fc.oneof(
  fc.stringMatching(/^[a-z0-9._-]{1,40}@[a-z]{1,6}\.example$/),
  // One byte of any other kind somewhere in it.
  fc.stringMatching(/^[a-z0-9._-]{0,20}[ -~][a-z0-9._@-]{0,20}[a-z]$/),
  fc.constantFrom(
    'A.Person@Acme.example',
    "o'brien@acme.example",
    'jörg@acme.example',
    'x@münchen.example',
    '',
  ),
  fc.constantFrom('a', 'a@1.2.3.4', 'quote"d@acme.example', 'back\\slash@acme.example', 'tab\t@acme.example'),
);
const user = fc.record(
  {
    id: fc.oneof(
      fc.stringMatching(/^1[0-9]{20}$/),
      fc.stringMatching(/^[0-9]{1,26}$/),
      fc.constantFrom('', 'abc', '1a3456789012345678901', 'é', '0'.repeat(300)),
    ),
    primaryEmail: address,
    aliases: fc.oneof(fc.array(address, { maxLength: 3 }), fc.constantFrom(null, 'x', {})),
    orgUnitPath: fc.oneof(
      fc.constantFrom('/', '/Staff', '/Staff/Köln', '/A "quoted" one', '/Zeile\n', ''),
      fc.stringMatching(/^\/[A-Za-zäß ]{0,40}$/),
      fc.string({ unit: 'binary' }),
    ),
    suspended: fc.constantFrom<unknown>(true, false, null, 'true', 1),
    archived: fc.constantFrom<unknown>(true, false),
    isAdmin: fc.boolean(),
    name: fc.record({ givenName: fc.string(), familyName: fc.constant('Smith } "{') }),
  },
  { requiredKeys: ['id', 'primaryEmail', 'orgUnitPath'] },
);
/** Also with keys in another order, and with one that is missing. */
const anyUser = fc
  .tuple(user, fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 60 }))
  .map(([whole, turn, gone]) => {
    const entries = Object.entries(whole).filter((_, index) => index !== gone);
    return Object.fromEntries([...entries.slice(turn), ...entries.slice(0, turn)]);
  });
const page = fc.record(
  {
    kind: fc.constant('admin#directory#users'),
    users: fc.array(anyUser, { maxLength: 6 }),
    nextPageToken: fc.constantFrom<unknown>('next', 'ü', '', 'with "quotes"', null),
  },
  { requiredKeys: ['users'] },
);
const text = fc
  .tuple(page, fc.constantFrom(undefined, 1, 2, '\t', '\n\r '))
  .map(([value, space]) => JSON.stringify(value, null, space));

describe('a page of the directory, read from its bytes', () => {
  it('says what the parsed page says, or fails as it does', () => {
    const reader = new PageReader();
    fc.assert(
      fc.property(text, (sent) => {
        expect(quickly(reader, sent)).toEqual(slowly(sent));
      }),
      { numRuns: 400 },
    );
  });

  it('that is damaged is never taken for another', () => {
    const reader = new PageReader();
    const damage = fc.tuple(
      fc.nat(),
      fc.nat(3),
      fc.constantFrom('', '"', '{', '}', ']', ',', '\\', 't', '1', '\u0000', '"id":"7",'),
    );
    fc.assert(
      fc.property(text, damage, (sent, [place, cut, put]) => {
        const at = place % (sent.length + 1);
        // Half a surrogate pair is none once it is sent.
        const damaged = new TextDecoder().decode(bytes(sent.slice(0, at) + put + sent.slice(at + cut)));
        expect(quickly(reader, damaged)).toEqual(slowly(damaged));
      }),
      { numRuns: 800 },
    );
  });

  it('that ends anywhere is never taken for a whole one', () => {
    const reader = new PageReader();
    const users = [1, 2, 3].map((number) => ({
      ...{ id: `10000000000000000000${number}`, primaryEmail: `somebody${number}@acme.example`, aliases: [] },
      ...{ orgUnitPath: '/Staff', suspended: false, archived: true },
    }));
    const sent = JSON.stringify({ users, nextPageToken: 'next' });
    for (let end = sent.length; end >= 0; end -= 1)
      expect(quickly(reader, sent.slice(0, end))).toEqual(slowly(sent.slice(0, end)));
  });

  it('in which any one character is another, gone or there twice is never taken for another page', () => {
    const reader = new PageReader();
    const sent = JSON.stringify({
      users: [
        {
          ...{ id: '161803398874989484821', primaryEmail: 'ada@acme.example', orgUnitPath: '/Staff' },
          ...{ suspended: true, archived: false, aliases: ['a@acme.example'] },
        },
        {
          ...{ aliases: [], archived: true, primaryEmail: 'bob.a-longer_name.0123456789@acme.example' },
          ...{ orgUnitPath: '/Staff/Departments', id: '999999999999999999999' },
          suspended: false,
        },
      ],
      nextPageToken: 'next',
    });
    const others = [...' !"-./019:@AZ[\\]_`az{|},te\u0000\u001f\u007f\u0080é', ''];
    for (let at = 0; at < sent.length; at += 1)
      for (const other of [...others, (sent[at] ?? '').repeat(2)]) {
        const damaged = sent.slice(0, at) + other + sent.slice(at + 1);
        expect(quickly(reader, damaged), damaged).toEqual(slowly(damaged));
      }
  });

  it.each([
    ['a key that comes twice', '"orgUnitPath":"/Staff","orgUnitPath":"/Other"'],
    ['an address that comes twice', '"orgUnitPath":"/Staff","primaryEmail":"b@acme.example"'],
    ['no path', '"suspended":true'],
    ['an alias that is the address', '"orgUnitPath":"/Staff","aliases":["a@acme.example"]'],
    ['an alias of the same length', '"orgUnitPath":"/Staff","aliases":["b@acme.example"]'],
    ['an alias that comes twice', '"orgUnitPath":"/Staff","aliases":["b@acme.example","b@acme.example"]'],
    ['aliases that come twice', '"orgUnitPath":"/Staff","aliases":["b@acme.example"],"aliases":[]'],
    ['aliases that are a text', '"orgUnitPath":"/Staff","aliases":"b@acme.example"'],
    ['a field that is not asked for', '"orgUnitPath":"/Staff","archivedBy":"x"'],
    ['a null', '"orgUnitPath":"/Staff","suspended":null'],
    ['an escape in its path', '"orgUnitPath":"/Staff\\u002fOther"'],
    ['a tabulator in its path', '"orgUnitPath":"/Staff\t"'],
    ['an id that begins with a zero', '"orgUnitPath":"/Staff","id":"012345678901234567890"'],
  ])('whose user has %s says what the parsed page says', (_, fields) => {
    const id = fields.includes('"id"') ? '' : '"id":"100000000000000000001",';
    const sent = `{"users":[{${id}"primaryEmail":"a@acme.example",${fields}}]}`;
    expect(quickly(new PageReader(), sent)).toEqual(slowly(sent));
  });

  it('tells apart org units whose paths have the same hash', () => {
    const users = ['/Department 006376', '/Department 013330'].map((orgUnitPath, index) => ({
      ...{ id: `10000000000000000000${index}`, primaryEmail: 'ada@acme.example', orgUnitPath },
    }));
    const sent = JSON.stringify({ users: [...users, ...users] });
    expect(quickly(new PageReader(), sent)).toEqual(slowly(sent));
  });

  it('may have thousands of org units, and long ones', () => {
    const reader = new PageReader();
    for (let page = 0; page < 6; page += 1) {
      const users = Array.from({ length: 500 }, (_, index) => {
        const number = page * 500 + index;
        return {
          ...{ id: `1${String(number).padStart(20, '0')}`, primaryEmail: `user${number}@acme.example` },
          orgUnitPath: `/${'Department '.repeat(number % 30)}${number % 2_500}`,
        };
      });
      const sent = JSON.stringify({ users });
      expect(quickly(reader, sent)).toEqual(slowly(sent));
    }
  });

  it('with more users than a page of Google has is read in full', () => {
    const users = Array.from({ length: 1_001 }, (_, number) => ({
      ...{ id: `1${String(number).padStart(20, '0')}`, primaryEmail: `user${number}@acme.example` },
      orgUnitPath: '/Staff',
    }));
    for (const several of [users, users.slice(1)]) {
      const sent = JSON.stringify({ users: several });
      expect(quickly(new PageReader(), sent)).toEqual(slowly(sent));
    }
  });

  it('is read without parsing anybody, when all are of the usual form', () => {
    const users = [
      {
        ...{ id: '161803398874989484821', primaryEmail: 'ada@acme.example', orgUnitPath: '/Staff' },
        ...{ suspended: true, archived: false, aliases: ['a@acme.example'] },
      },
      { id: '100000000000000000001', primaryEmail: 'bob@acme.example', orgUnitPath: '/Köln', aliases: [] },
      {
        ...{ archived: true, aliases: ['a@1.example'], orgUnitPath: '/Staff' },
        ...{ primaryEmail: 'somebody.with.a_long-name.0123456789@acme.example', id: '999999999999999999999' },
      },
    ];
    const page = unparsed(JSON.stringify({ users, nextPageToken: 'n' }));
    expect(page).toMatchObject({ nextPageToken: 'n', users: { length: 3 } });
  });

  it('is read without parsing anybody, when it holds every field that a sweep asks for', () => {
    const fields: Record<string, unknown> = {
      ...{ id: '161803398874989484821', primaryEmail: 'ada@acme.example', aliases: ['a@acme.example'] },
      ...{ orgUnitPath: '/Staff', suspended: false, archived: false },
    };
    const asked = SWEEP_PAGE_FIELDS.match(/users\((.*)\)$/)?.[1]?.split(',') ?? [];
    const user = Object.fromEntries(asked.map((field) => [field, fields[field]]));
    expect(Object.keys(user)).toEqual(Object.keys(fields));
    expect(unparsed(JSON.stringify({ users: [user] }))).toMatchObject({ users: { length: 1 } });
  });

  it('keeps its users apart from those of the next', () => {
    const reader = new PageReader();
    const of = (name: string) =>
      JSON.stringify({ users: [{ id: '7', primaryEmail: `${name}@acme.example`, orgUnitPath: `/${name}` }] });
    const first = reader.read(bytes(of('ada')));
    reader.read(bytes(of('bob')));
    expect(told(first)).toEqual(slowly(of('ada')));
  });
});
