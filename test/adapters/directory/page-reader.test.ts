import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PageReader } from '../../../shared/adapters/directory/page-reader.ts';
import { toUsersPage } from '../../../shared/adapters/directory/wire.ts';
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

function quickly(reader: PageReader, text: string): unknown {
  try {
    return told(reader.read(bytes(text)));
  } catch {
    return 'fails';
  }
}

const address = fc.oneof(
  fc.stringMatching(/^[a-z0-9._-]{1,12}@[a-z]{1,6}\.example$/),
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
      fc.string({ unit: 'binary' }),
    ),
    suspended: fc.constantFrom<unknown>(true, false, null, 'true', 1),
    archived: fc.constantFrom<unknown>(true, false),
    isMailboxSetup: fc.constantFrom<unknown>(true, false),
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

  it('is read without parsing anybody, when all are of the usual form', () => {
    const users = [
      {
        ...{ id: '161803398874989484821', primaryEmail: 'ada@acme.example', orgUnitPath: '/Staff' },
        ...{ suspended: true, archived: false, isMailboxSetup: true, aliases: ['a@acme.example'] },
      },
      { id: '100000000000000000001', primaryEmail: 'bob@acme.example', orgUnitPath: '/Köln', aliases: [] },
    ];
    const sent = bytes(JSON.stringify({ users, nextPageToken: 'n' }));
    const { parse } = JSON;
    JSON.parse = () => expect.unreachable('a user was parsed');
    try {
      expect(new PageReader().read(sent)).toMatchObject({ nextPageToken: 'n', users: { length: 2 } });
    } finally {
      JSON.parse = parse;
    }
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
