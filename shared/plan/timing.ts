import type { PolicyRule } from '../domain/policy.ts';
import type { LeafRecord } from '../domain/records.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

/**
 * When a leaf is renewed: `renewBefore` ahead of its end, and up to `renewSpread` earlier still, drawn from its
 * serial. Serials are random, so certificates issued in one hour renew over days. A leaf that its issuer's own end made
 * short is never due at birth: the window is at most half of the leaf's life, at most two thirds of it with the spread.
 */
export function renewalTime(leaf: LeafRecord, rule: PolicyRule): Date {
  const lifetimeMs = leaf.notAfter.getTime() - leaf.notBefore.getTime();
  const windowMs = Math.min(rule.renewBeforeMs, lifetimeMs / 2);
  const shortened = rule.renewBeforeMs === 0 ? 1 : windowMs / rule.renewBeforeMs;
  const spreadMs = Math.min(rule.renewSpreadMs * shortened, (lifetimeMs * 2) / 3 - windowMs);
  const fraction = Number.parseInt(leaf.serialHex.slice(-8), 16) / 0x1_0000_0000;
  return new Date(leaf.notAfter.getTime() - windowMs - Math.floor(fraction * spreadMs));
}

/** How long a user waits after so many failures in a row, whether they pass or a human has to lift them: 2, 4, 8 … minutes, an hour at most. */
export function retryMs(failures: number): number {
  return Math.min(MINUTE_MS * 2 ** Math.min(failures, 6), HOUR_MS);
}

/** The same while somebody waits for Gmail (1, 2, 4 … minutes: the first wait is no failure), and once a day after the first day. */
export function slowRetryMs(failures: number, waitedMs: number): number {
  return waitedMs >= DAY_MS ? DAY_MS : retryMs(failures);
}

/** How often somebody in no list of the directory is looked for. */
export const LOOK_FOR_ABSENT_MS = 6 * HOUR_MS;

/** After this long a wait for Gmail stops being *pending* and becomes *blocked*. */
export const PATIENCE_MS = DAY_MS;

/** An intent this old is abandoned: its notBefore would be further back than Google's 48 hours allow. */
export const INTENT_LIFETIME_MS = DAY_MS;

export const earliest = (...instants: readonly (Date | undefined)[]): Date | undefined =>
  instants
    .filter((instant) => instant !== undefined)
    .toSorted((left, right) => left.getTime() - right.getTime())[0];

export const plus = (instant: Date, milliseconds: number): Date => new Date(instant.getTime() + milliseconds);
