import type { AccessTokens } from './access-tokens.ts';
import type { EmulatorClock } from './clock.ts';
import type { FaultSwitches } from './faults.ts';
import type { EmulatorState } from './state.ts';

/** What every room of the emulator is given. */
export interface EmulatorContext {
  readonly clock: EmulatorClock;
  readonly state: EmulatorState;
  readonly faults: FaultSwitches;
  readonly tokens: AccessTokens;
  /** Root address of the emulator, with a trailing slash; known once it listens. */
  readonly rootUrl: () => string;
}
