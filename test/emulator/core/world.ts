import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AccessTokens, type Caller } from '../../../emulator/core/access-tokens.ts';
import { CallLog } from '../../../emulator/core/call-log.ts';
import { EmulatorClock } from '../../../emulator/core/clock.ts';
import type { EmulatorContext } from '../../../emulator/core/context.ts';
import { FaultSwitches } from '../../../emulator/core/faults.ts';
import type { Route } from '../../../emulator/core/route.ts';
import { createEmulatorServer } from '../../../emulator/core/server.ts';
import { EmulatorState } from '../../../emulator/core/state.ts';

/** A context in memory (or over a state file) and, once `serve` is called, a server on a free loopback port. */
export class EmulatorWorld {
  readonly clock: EmulatorClock;
  readonly faults = new FaultSwitches();
  readonly calls = new CallLog();
  readonly state: EmulatorState;
  readonly tokens: AccessTokens;
  readonly context: EmulatorContext;
  #server: Server | undefined;
  #port = 0;

  constructor(stateFile?: string, clock = new EmulatorClock()) {
    this.clock = clock;
    this.state = new EmulatorState(stateFile);
    this.tokens = new AccessTokens(this.clock, this.state);
    this.context = {
      clock: this.clock,
      state: this.state,
      faults: this.faults,
      tokens: this.tokens,
      rootUrl: () => this.root,
    };
  }

  get port(): number {
    return this.#port;
  }

  /** With a trailing slash. */
  get root(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  async serve(routes: readonly Route[], maxBodyBytes?: number): Promise<void> {
    const server = createEmulatorServer({
      clock: this.clock,
      tokens: this.tokens,
      faults: this.faults,
      calls: this.calls,
      routes,
      ...(maxBodyBytes === undefined ? {} : { maxBodyBytes }),
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
  }

  /** A bearer access token of the caller. */
  tokenOf(caller: Caller): string {
    return this.tokens.mint(caller).accessToken;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Asks again until the answer is there; the test's own time-out ends it otherwise. */
export async function until<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
