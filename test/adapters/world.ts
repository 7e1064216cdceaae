/** What every adapter test needs: a clock that stands still until told, and retries that do not really wait. */
import { GoogleAuth, OAuth2Client } from 'google-auth-library';
import type { Bearer } from '../../shared/adapters/google/call.ts';
import type { GoogleCallFailure } from '../../shared/adapters/google/call-error.ts';
import type { OwnIdentity } from '../../shared/adapters/google/own-identity.ts';
import type { Pace } from '../../shared/adapters/google/pace.ts';
import { type RetrySettings, retrySettings } from '../../shared/adapters/google/retry.ts';
import { isSealwrightError, type SealwrightError } from '../../shared/errors.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { PaceLedger } from '../../shared/ports/ledger/paces.ts';

export class TestClock implements Clock {
  ms: number;
  constructor(start = '2027-01-15T09:00:00Z') {
    this.ms = Date.parse(start);
  }
  now(): Date {
    return new Date(this.ms);
  }
}

export interface TestRetry {
  readonly clock: TestClock;
  readonly settings: RetrySettings;
  /** The waits that would have been, in milliseconds. */
  readonly waits: number[];
}

/** Waiting moves the clock instead of the afternoon. */
export function testRetry(changes: Partial<RetrySettings> = {}, clock = new TestClock()): TestRetry {
  const waits: number[] = [];
  const settings = retrySettings(clock, {
    random: () => 0.5,
    sleep: async (milliseconds) => {
      waits.push(milliseconds);
      clock.ms += milliseconds;
    },
    ...changes,
  });
  return { clock, settings, waits };
}

/** Tokens `token-1`, `token-2`, …: a new one after each that was forgotten. */
export class TestBearer implements Bearer {
  #number = 1;
  readonly forgotten: string[] = [];
  async accessToken(): Promise<string> {
    return `token-${this.#number}`;
  }
  forget(accessToken: string): void {
    this.forgotten.push(accessToken);
    this.#number += 1;
  }
}

/** An own identity with a fixed token, for the clients that bring their own HTTP. */
export function testIdentity(): OwnIdentity {
  const client = new OAuth2Client();
  client.setCredentials({ access_token: 'own-token' });
  return {
    auth: new GoogleAuth({ authClient: client as never }),
    accessToken: async () => 'own-token',
    forget: () => undefined,
    fetchIdToken: async () => 'own-id-token',
  };
}

/** The SealwrightError that a call fails with; anything else fails the test. */
export async function failureOf(call: Promise<unknown>): Promise<SealwrightError> {
  try {
    await call;
  } catch (error) {
    if (isSealwrightError(error)) return error;
    throw error;
  }
  throw new Error('The call succeeded where it should have failed.');
}

/** A pace that lets everything through and remembers what it was asked and told. */
export function recordingPace() {
  const taken: number[] = [];
  const told: GoogleCallFailure[] = [];
  const pace: Pace = {
    take: async (units) => void taken.push(units),
    failed: async (failure) => void told.push(failure),
  };
  return { pace, taken, told };
}

/** The ledger's arithmetic for quotas, in memory. */
export function memoryPaces(nowMs: () => number): PaceLedger {
  const next = new Map<string, number>();
  return {
    bookPace: async ({ pace, units, unitsPerMinute, burstUnits, maxWaitMs }) => {
      const msPerUnit = 60_000 / unitsPerMinute;
      const end = Math.max(next.get(pace) ?? 0, nowMs()) + units * msPerUnit;
      const waitMs = end - nowMs() - burstUnits * msPerUnit;
      if (waitMs > maxWaitMs) return undefined;
      next.set(pace, end);
      return Math.max(0, waitMs);
    },
    holdPace: async (pace, ms) => void next.set(pace, Math.max(next.get(pace) ?? 0, nowMs() + ms)),
  };
}
