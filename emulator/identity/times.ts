import type { EmulatorClock } from '../core/clock.ts';

/**
 * Two clocks are right here. The product lives by the emulator's clock, which a test may move; Google's own client
 * libraries stamp and refresh their tokens by the machine's. A signed statement is taken when it holds as a whole by
 * one of the two, and what is given in return lives by that same clock.
 */
export type Clock = 'emulator' | 'machine';

/** How far in the future an `iat` may lie. Google names no figure; its own libraries allow 300 s when they verify. */
const SKEW_SECONDS = 60;

export class Clocks {
  readonly #emulator: EmulatorClock;

  constructor(emulator: EmulatorClock) {
    this.#emulator = emulator;
  }

  seconds(clock: Clock): number {
    return Math.floor((clock === 'emulator' ? this.#emulator.nowMs() : Date.now()) / 1000);
  }

  /** The clock by which `iat` (unless absent) is not in the future and `exp` is neither past nor further than `maxSeconds`. */
  holding(
    times: { readonly iat?: number; readonly exp: number },
    maxSeconds = Number.POSITIVE_INFINITY,
  ): Clock | undefined {
    const clocks: readonly Clock[] = ['emulator', 'machine'];
    return clocks.find((clock) => this.holds(times, clock, maxSeconds));
  }

  holds(
    times: { readonly iat?: number; readonly exp: number },
    clock: Clock,
    maxSeconds = Number.POSITIVE_INFINITY,
  ): boolean {
    const now = this.seconds(clock);
    if (times.iat !== undefined && times.iat > now + SKEW_SECONDS) return false;
    return times.exp > now && times.exp <= now + maxSeconds + SKEW_SECONDS;
  }
}
