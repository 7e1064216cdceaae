/** What ports answer on a bad day, in their own words: refusals (403), too many requests (429), outages (500), timeouts. */
import { permanent, retryable, type SealwrightError } from '../../shared/errors.ts';
import type { Page } from '../../shared/ports/directory.ts';
import type { PortCall } from '../support/fakes/calls.ts';
import type { Dice } from './random.ts';

const later = { retryAfterMs: 30_000 };

const ERRORS: Readonly<Record<string, readonly (() => SealwrightError)[]>> = {
  ledger: [() => retryable('ledger-unavailable', 'Simulated: the database is away.')],
  directory: [
    () => retryable('directory-unavailable', 'Simulated: 500 of the directory.'),
    () => retryable('directory-unavailable', 'Simulated: 429 of the directory.', later),
    () => permanent('directory-refused', 'Simulated: 403 of the directory.'),
  ],
  gmail: [
    () => retryable('gmail-unavailable', 'Simulated: 500 of Gmail.'),
    () => retryable('gmail-unavailable', 'Simulated: 429 of Gmail.', later),
    () => permanent('gmail-refused', 'Simulated: 400 of Gmail.'),
    () => permanent('delegation-refused', 'Simulated: 403 of Gmail.'),
  ],
  keyService: [
    () => retryable('key-service-unavailable', 'Simulated: a timeout of the key service.'),
    () => permanent('key-service-refused', 'Simulated: 403 of the key service.'),
  ],
  signing: [() => retryable('signing-unavailable', 'Simulated: sign is away.')],
  bus: [() => retryable('bus-unavailable', 'Simulated: Pub/Sub is away.')],
  bucket: [() => retryable('storage-unavailable', 'Simulated: the bucket is away.')],
};

export type Fault =
  | { readonly moment: 'before' | 'after'; readonly error: SealwrightError }
  | { readonly moment: 'page' };

const PAGES = new Set(['livingPage', 'deletedPage']);

/**
 * `before`: nothing happened. `after`: it happened and the answer is lost. `page`: a page of the directory comes with
 * users or its end missing. Giving a lease back and reading a policy fail as everything else does.
 */
export function drawFault(random: Dice, call: PortCall, percent: number): Fault | undefined {
  if (!random.percent(percent)) return undefined;
  if (PAGES.has(call.method) && random.percent(60)) return { moment: 'page' };
  const error = random.one(ERRORS[call.port] ?? [])();
  return { moment: random.percent(50) && error.kind === 'retryable' ? 'after' : 'before', error };
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
