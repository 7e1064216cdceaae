import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFedAddressBook } from '../../shared/adapters/kacls/fed-address-book.ts';
import { type AddressHistoryEntries, signAddressFeed } from '../../shared/kacls/address-feed.ts';
import { localServer, ManualClock, memoryLog } from './support.ts';

const pair = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519');
const HOUR_MS = 3_600_000;
let folder: string;
let source: string;
let clock: ManualClock;
let log: ReturnType<typeof memoryLog>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealwright-feed-'));
  source = join(folder, 'feed.jws');
  clock = new ManualClock();
  log = memoryLog();
});
afterEach(() => rmSync(folder, { recursive: true }));

const signed = (
  people: AddressHistoryEntries,
  key: KeyObject = pair.privateKey,
  tenantId = 'C1',
  now = clock.now(),
) => signAddressFeed(people, { tenantId, key, now });
const publish = async (...of: Parameters<typeof signed>) => writeFileSync(source, await signed(...of));
const open = (changes: Partial<Parameters<typeof openFedAddressBook>[0]> = {}) =>
  openFedAddressBook({
    ...{ source, keys: [pair.publicKey], tenantId: 'C1', stateFolder: join(folder, 'state'), clock, log },
    ...changes,
  });
const kept = () => readdirSync(join(folder, 'state'));

describe('an address book fed with signed histories', () => {
  it('knows present and former addresses, and everybody who had the same one', async () => {
    await publish([
      ['1', ['ana@acme.example', 'Anna@acme.example']],
      ['2', ['anna@acme.example']],
    ]);
    const book = await open();
    expect(await book.userIdsOfAddress('ana@acme.example')).toEqual(['1']);
    expect(await book.userIdsOfAddress('anna@acme.example')).toEqual(['1', '2']);
    expect(await book.userIdsOfAddress('nobody@acme.example')).toEqual([]);
  });

  it('forgets nobody whom a later feed leaves out, also over restarts', async () => {
    await publish([['1', ['ana@acme.example']]]);
    await open();
    clock.advance(HOUR_MS);
    await publish([['2', ['ben@acme.example']]]);
    for (const book of [await open(), await open()]) {
      expect(await book.userIdsOfAddress('ana@acme.example')).toEqual(['1']);
      expect(await book.userIdsOfAddress('ben@acme.example')).toEqual(['2']);
    }
    expect(kept()).toHaveLength(2);
  });

  it('takes a feed that cannot be kept, says so, loses nothing for it, and keeps it once it can', async () => {
    await publish([['1', ['ana@acme.example']]]);
    const book = await open();
    const before = kept();
    renameSync(join(folder, 'state'), join(folder, 'away'));
    clock.advance(60_000);
    await publish([
      ['1', ['ana@acme.example']],
      ['2', ['ben@acme.example']],
    ]);
    expect(await book.userIdsOfAddress('ben@acme.example')).toEqual(['2']);
    expect(log.lines.at(-2)).toMatchObject({ event: 'address-feed-not-kept' });
    renameSync(join(folder, 'away'), join(folder, 'state'));
    expect(kept()).toEqual(before);
    await book.refresh();
    expect(kept()).toHaveLength(1);
    expect(kept()).not.toEqual(before);
  });

  it('keeps one file as long as each feed says all of the one before', async () => {
    const people: [string, string[]][] = [];
    for (let user = 1; user <= 4; user += 1) {
      people.push([String(user), [`user${user}@acme.example`]]);
      clock.advance(60_000);
      await publish(people);
      await open();
    }
    expect(kept()).toHaveLength(1);
    expect((await open()).addresses).toBe(4);
  });

  it('looks at the source at once for somebody new, and not more than once in ten seconds', async () => {
    await publish([['1', ['ana@acme.example']]]);
    const book = await open();
    clock.advance(60_000);
    await publish([
      ['1', ['ana@acme.example']],
      ['2', ['ben@acme.example']],
    ]);
    expect(await book.userIdsOfAddress('ben@acme.example')).toEqual(['2']);
    await publish([['3', ['eve@acme.example']]]);
    expect(await book.userIdsOfAddress('eve@acme.example')).toEqual([]);
    clock.advance(10_000);
    expect(await book.userIdsOfAddress('eve@acme.example')).toEqual(['3']);
  });

  it('serves everybody it knows however old the feed is, and asks the others to come back', async () => {
    await publish([['1', ['ana@acme.example']]]);
    const book = await open();
    rmSync(source);
    clock.advance(400 * 24 * HOUR_MS);
    expect(await book.userIdsOfAddress('ana@acme.example')).toEqual(['1']);
    await expect(book.userIdsOfAddress('ben@acme.example')).rejects.toMatchObject({ kind: 'retryable' });
  });

  it.each<[string, () => Promise<string>]>([
    ['signed by somebody else', () => signed([['2', ['eve@acme.example']]], stranger.privateKey)],
    ['of another tenant', () => signed([['2', ['eve@acme.example']]], pair.privateKey, 'C2')],
    [
      'from the future',
      () =>
        signed(
          [['2', ['eve@acme.example']]],
          pair.privateKey,
          'C1',
          new Date(clock.now().getTime() + HOUR_MS),
        ),
    ],
    [
      'altered',
      async () => {
        const [head, , tail] = (await signed([['2', ['eve@acme.example']]])).split('.');
        const body = { aud: 'address-feed:C1', iat: clock.seconds(), people: [['2', ['eve@acme.example']]] };
        return [head, Buffer.from(JSON.stringify({ ...body, x: 1 })).toString('base64url'), tail].join('.');
      },
    ],
    [
      'not signed',
      async () => {
        const body = { aud: 'address-feed:C1', iat: clock.seconds(), people: [['2', ['eve@acme.example']]] };
        return [{ alg: 'none' }, body]
          .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
          .join('.')
          .concat('.');
      },
    ],
    [
      'under an HMAC with the public key',
      async () => {
        const body = { aud: 'address-feed:C1', iat: clock.seconds(), people: [['2', ['eve@acme.example']]] };
        const input = [{ alg: 'HS256' }, body]
          .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
          .join('.');
        const secret = pair.publicKey.export({ type: 'spki', format: 'pem' });
        return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
      },
    ],
    ['no feed at all', async () => '<html>Sign in</html>'],
    ['a list of something else', () => signed([[7, 'x']] as never)],
    ['empty', async () => ''],
  ])('takes nothing from a feed that is %s, and goes on with what it has', async (_what, make) => {
    await publish([['1', ['ana@acme.example']]]);
    const book = await open();
    writeFileSync(source, await make());
    clock.advance(60_000);
    await book.refresh();
    expect(log.lines.at(-1)).toMatchObject({ severity: 'warning', event: 'address-feed-not-refreshed' });
    expect(await book.userIdsOfAddress('eve@acme.example')).toEqual([]);
    expect(await book.userIdsOfAddress('ana@acme.example')).toEqual(['1']);
  });

  it('believes no kept file that was altered, and says so', async () => {
    await publish([['1', ['ana@acme.example']]]);
    await open();
    const [file = ''] = kept();
    writeFileSync(
      join(folder, 'state', file),
      await signed([['9', ['ana@acme.example']]], stranger.privateKey),
    );
    rmSync(source);
    const book = await open();
    expect(log.lines.some(({ event }) => event === 'address-feed-kept-unreadable')).toBe(true);
    await expect(book.userIdsOfAddress('ana@acme.example')).rejects.toMatchObject({ kind: 'retryable' });
  });

  it('takes feeds of an old and a new key while the customer changes it', async () => {
    await publish([['1', ['ana@acme.example']]]);
    const keys = [stranger.publicKey, pair.publicKey];
    await open({ keys });
    await publish([['2', ['ben@acme.example']]], stranger.privateKey);
    expect((await open({ keys })).addresses).toBe(2);
  });

  it('fetches with the credentials it was given, and follows no redirect', async () => {
    const seen: (string | undefined)[] = [];
    const feed = await signed([['1', ['ana@acme.example']]]);
    let redirects = false;
    const server = await localServer((request, response) => {
      seen.push(request.headers.authorization);
      if (redirects) response.writeHead(302, { location: '/elsewhere' }).end();
      else response.end(feed);
    });
    const book = await open({ source: `${server.root}/feed`, authorization: async () => 'Bearer x' });
    expect(await book.userIdsOfAddress('ana@acme.example')).toEqual(['1']);
    redirects = true;
    await book.refresh();
    expect(seen).toEqual(['Bearer x', 'Bearer x']);
    await server.close();
  });
});
