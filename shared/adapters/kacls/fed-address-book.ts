/**
 * The address book of a key service that has no ledger: signed feeds (`shared/kacls/address-feed.ts`), read from a file or
 * fetched, verified, and kept in a folder so that a restart knows everybody whom the service ever knew.
 *
 * A feed that is old, broken or out of reach changes nothing for those already known: whatever was learned stays, and
 * mail of its time opens for ever. Only somebody the kept feeds do not name has to wait for a fresh one.
 */
import { createHash, type KeyObject } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { retryable } from '../../errors.ts';
import { type VerifiedFeed, verifyAddressFeed } from '../../kacls/address-feed.ts';
import type { AddressBook } from '../../ports/address-book.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import { readLimited } from './response.ts';

export interface FedAddressBookOptions {
  /** https address, or path of a file that another program replaces. */
  readonly source: string;
  /** For fetching: answers the value of `Authorization`, where the source wants one. */
  readonly authorization?: () => Promise<string | undefined>;
  /** Whoever holds one of the private halves may feed this service. */
  readonly keys: readonly KeyObject[];
  readonly tenantId: string;
  /** Verified feeds are kept here. */
  readonly stateFolder: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly fetch?: typeof fetch;
}

export interface FedAddressBook extends AddressBook {
  /** Reads the source now; never throws, because what is known goes on counting. */
  refresh(): Promise<void>;
  /** When the newest feed was made; undefined while there was none at all. */
  readonly issuedAt: Date | undefined;
  readonly addresses: number;
}

const MAX_FEED_BYTES = 64 * 1024 * 1024;
const FETCH_TIMEOUT_MS = 20_000;
/** An address nobody knows causes one look at the source in this time, since anybody can invent addresses. */
const UNKNOWN_ADDRESS_FLOOR_MS = 10_000;
/** From this age on, not being named in the feed proves nothing. */
export const STALE_AFTER_MS = 3_600_000;
const FILE = /^feed-\d+-[0-9a-f]{16}\.jws$/;

interface Kept {
  readonly name: string;
  readonly feed: VerifiedFeed;
}

/** Reads what is kept and then the source. Throws what `node:fs` says of a state folder that cannot be used. */
export async function openFedAddressBook(options: FedAddressBookOptions): Promise<FedAddressBook> {
  const { clock, log, stateFolder } = options;
  mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
  const usersOf = new Map<string, readonly string[]>();
  let kept: readonly Kept[] = [];
  let issuedAt: Date | undefined;
  let lastText = '';
  let lookedAtMs = Number.NEGATIVE_INFINITY;

  for (const name of readdirSync(stateFolder).filter((file) => FILE.test(file))) {
    try {
      const feed = await verify(readFileSync(join(stateFolder, name), 'utf8'));
      learn(feed);
      forgetCovered(name, feed);
    } catch (error) {
      log.error('address-feed-kept-unreadable', { file: name, message: messageOf(error) });
    }
  }
  await refresh();

  return {
    async userIdsOfAddress(address) {
      const known = usersOf.get(address);
      if (known !== undefined) return known;
      if (clock.now().getTime() - lookedAtMs >= UNKNOWN_ADDRESS_FLOOR_MS) await refresh();
      const found = usersOf.get(address);
      if (found !== undefined) return found;
      requireFresh();
      return [];
    },
    refresh,
    get issuedAt() {
      return issuedAt;
    },
    get addresses() {
      return usersOf.size;
    },
  };

  async function refresh(): Promise<void> {
    lookedAtMs = clock.now().getTime();
    try {
      const text = await readSource(options);
      if (text === lastText) return;
      const feed = await verify(text);
      const digest = createHash('sha256').update(text).digest('hex').slice(0, 16);
      const name = `feed-${Math.floor(feed.issuedAt.getTime() / 1000)}-${digest}.jws`;
      learn(feed);
      // What could not be kept is tried again at the next look, and no file goes because of it.
      if (tryToKeep(name, text)) {
        forgetCovered(name, feed);
        lastText = text;
      }
      log.info('address-feed-taken', { issuedAt: feed.issuedAt.toISOString(), addresses: usersOf.size });
    } catch (error) {
      log.warning('address-feed-not-refreshed', { message: messageOf(error), addresses: usersOf.size });
    }
  }

  /** A full or read-only disk shuts nobody out; only the next start, without the source, would know less. */
  function tryToKeep(name: string, text: string): boolean {
    try {
      keep(stateFolder, name, text);
      return true;
    } catch (error) {
      log.error('address-feed-not-kept', { file: name, message: messageOf(error) });
      return false;
    }
  }

  function verify(text: string): Promise<VerifiedFeed> {
    return verifyAddressFeed(text, { ...options, now: clock.now() });
  }

  function learn(feed: VerifiedFeed): void {
    if (issuedAt === undefined || feed.issuedAt > issuedAt) issuedAt = feed.issuedAt;
    for (const [userId, addresses] of feed.people) {
      for (const address of addresses) {
        const users = usersOf.get(address) ?? [];
        if (!users.includes(userId)) usersOf.set(address, [...users, userId]);
      }
    }
  }

  /** A feed that is on disk makes the files go of those it says all of. */
  function forgetCovered(name: string, feed: VerifiedFeed): void {
    const all = [...kept.filter((other) => other.name !== name), { name, feed }];
    const newest = all.reduce((left, right) => (left.feed.issuedAt > right.feed.issuedAt ? left : right));
    const said = new Set(pairsOf(newest.feed));
    const covered = all.filter(
      (other) => other !== newest && pairsOf(other.feed).every((pair) => said.has(pair)),
    );
    for (const { name: file } of covered) rmSync(join(stateFolder, file), { force: true });
    kept = all.filter((other) => !covered.includes(other));
  }

  function requireFresh(): void {
    const ageMs = issuedAt === undefined ? undefined : clock.now().getTime() - issuedAt.getTime();
    if (ageMs !== undefined && ageMs < STALE_AFTER_MS) return;
    const age = ageMs === undefined ? 'was never had' : `is ${Math.floor(ageMs / 60_000)} minutes old`;
    throw retryable('ledger-unavailable', `The address feed ${age}, and does not name this address yet.`, {
      retryAfterMs: 60_000,
    });
  }
}

const pairsOf = (feed: VerifiedFeed): string[] =>
  feed.people.flatMap(([userId, addresses]) => addresses.map((address) => `${userId} ${address}`));

/** Whole or not at all: written beside and renamed. */
function keep(folder: string, name: string, text: string): void {
  const half = join(folder, `${name}.${process.pid}.tmp`);
  writeFileSync(half, text, { mode: 0o600, flush: true });
  renameSync(half, join(folder, name));
}

async function readSource(options: FedAddressBookOptions): Promise<string> {
  const { source, fetch: send = fetch } = options;
  if (!/^https?:/.test(source)) return await readFile(source, 'utf8');
  const authorization = await options.authorization?.();
  const response = await send(source, {
    redirect: 'manual',
    headers: authorization === undefined ? {} : { authorization },
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`the source answered HTTP ${response.status}`);
  }
  const text = await readLimited(response, MAX_FEED_BYTES);
  if (text === undefined) throw new Error(`the feed is larger than ${MAX_FEED_BYTES} bytes`);
  return text;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
