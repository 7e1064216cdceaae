/** What ports answer on a bad day, in their own words: refusals (403), too many requests (429), outages (500), timeouts. */
import { type ErrorCode, permanent, retryable, type SealwrightError } from '../../shared/errors.ts';
import type { Page } from '../../shared/ports/directory.ts';
import type { PortCall } from '../support/fakes/calls.ts';
import type { Dice } from './random.ts';

const later = { retryAfterMs: 30_000 };

interface Trouble {
  readonly error: () => SealwrightError;
  /** How long nobody answers before it is an error; others answer at once. */
  readonly waitMs?: number;
}

/** Half the life of a lease and more: whoever waits twice may have been replaced. */
const WAIT_MS = 35_000;

const answering = (error: () => SealwrightError): Trouble => ({ error });
const silent = (code: ErrorCode, who: string): Trouble => ({
  error: () => retryable(code, `Simulated: a timeout of ${who}.`),
  waitMs: WAIT_MS,
});

const TROUBLES: Readonly<Record<string, readonly Trouble[]>> = {
  ledger: [answering(() => retryable('ledger-unavailable', 'Simulated: the database is away.'))],
  directory: [
    answering(() => retryable('directory-unavailable', 'Simulated: 500 of the directory.')),
    answering(() => retryable('directory-unavailable', 'Simulated: 429 of the directory.', later)),
    answering(() => permanent('directory-refused', 'Simulated: 403 of the directory.')),
    silent('directory-unavailable', 'the directory'),
  ],
  gmail: [
    answering(() => retryable('gmail-unavailable', 'Simulated: 500 of Gmail.')),
    answering(() => retryable('gmail-unavailable', 'Simulated: 429 of Gmail.', later)),
    answering(() => permanent('gmail-refused', 'Simulated: 400 of Gmail.')),
    answering(() => permanent('delegation-refused', 'Simulated: 403 of Gmail.')),
    silent('gmail-unavailable', 'Gmail'),
  ],
  keyService: [
    answering(() => permanent('key-service-refused', 'Simulated: 403 of the key service.')),
    silent('key-service-unavailable', 'the key service'),
  ],
  signing: [
    answering(() => retryable('signing-unavailable', 'Simulated: sign is away.')),
    silent('signing-unavailable', 'sign'),
  ],
  secrets: [
    answering(() => retryable('secrets-unavailable', 'Simulated: 500 of Secret Manager.')),
    answering(() => permanent('secret-unreadable', 'Simulated: 403 of Secret Manager.')),
    silent('secrets-unavailable', 'Secret Manager'),
  ],
  bus: [
    answering(() => retryable('bus-unavailable', 'Simulated: Pub/Sub is away.')),
    silent('bus-unavailable', 'Pub/Sub'),
  ],
  bucket: [
    answering(() => retryable('storage-unavailable', 'Simulated: the bucket is away.')),
    silent('storage-unavailable', 'the bucket'),
  ],
};

export type Fault =
  | { readonly moment: 'before' | 'after'; readonly error: SealwrightError; readonly waitMs: number }
  | { readonly moment: 'page' };

const PAGES = new Set(['livingPage', 'deletedPage']);

/**
 * `before`: nothing happened. `after`: it happened and the answer is lost. Either may take its time. `page`: a page of the directory comes with
 * users or its end missing. Giving a lease back and reading a policy fail as everything else does.
 */
export function drawFault(random: Dice, call: PortCall, percent: number): Fault | undefined {
  if (!random.percent(percent)) return undefined;
  if (PAGES.has(call.method) && random.percent(60)) return { moment: 'page' };
  const { error: make, waitMs = 0 } = random.one(TROUBLES[call.port] ?? []);
  const error = make();
  return { moment: random.percent(50) && error.kind === 'retryable' ? 'after' : 'before', error, waitMs };
}

interface Sliceable {
  readonly length: number;
  slice(start: number, end: number): Sliceable;
}

/** A page whose last users, or everything after it, are missing. */
export function truncated(random: Dice, page: Page<Sliceable>): Page<Sliceable> {
  if (random.percent(50)) return { users: page.users };
  const { nextPageToken } = page;
  const users = page.users.slice(0, random.below(page.users.length + 1));
  return nextPageToken === undefined ? { users } : { users, nextPageToken };
}
