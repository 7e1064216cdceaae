/**
 * The switches of the emulator itself, under `/_emulator/`: clock, drain, faults, ID tokens, call log. They take no
 * credentials (the emulator listens on this machine only), are never disturbed by faults and are not in the call log.
 * Sending mail and running scheduled jobs are controls too, but belong to the rooms that do the work.
 */
import type { CallLog } from '../core/call-log.ts';
import type { EmulatorContext } from '../core/context.ts';
import { invalidArgument } from '../core/google-error.ts';
import type { Accounts, Busy, IdTokens, Room } from '../core/rooms.ts';
import { type Answer, type Call, jsonBody, ok, type Route } from '../core/route.ts';
import { moveClock, readClock } from './clock-control.ts';
import { drain } from './drain.ts';
import { mintIdToken } from './id-token-control.ts';

export interface ControlsParts {
  readonly calls: CallLog;
  readonly accounts: Accounts;
  readonly idTokens: IdTokens;
  /** Every part that `drain` waits for. */
  readonly busy: readonly Busy[];
  readonly counters: () => { readonly delivered: number; readonly deadLettered: number };
  /** All routes of the emulator, for the index page. */
  readonly routes: () => readonly Route[];
}

const DEFAULT_DRAIN_MS = 60_000;
const MAX_DRAIN_MS = 600_000;

export function createControls(context: EmulatorContext, parts: ControlsParts): Room {
  return {
    routes: [
      control('emulator.index', 'GET', '/_emulator/', () => ok(index(context, parts.routes()))),
      control('emulator.clock.get', 'GET', '/_emulator/clock', () => ok(readClock(context.clock))),
      control('emulator.clock.move', 'POST', '/_emulator/clock', (call) =>
        ok(moveClock(context.clock, jsonBody(call))),
      ),
      control('emulator.drain', 'POST', '/_emulator/drain', async (call) =>
        ok(await drain(parts, drainTimeout(jsonBody(call)), call.signal)),
      ),
      control('emulator.faults.get', 'GET', '/_emulator/faults', () => ok(context.faults.current)),
      control('emulator.faults.set', 'POST', '/_emulator/faults', (call) =>
        ok(context.faults.apply(jsonBody(call))),
      ),
      control('emulator.idtoken', 'POST', '/_emulator/idtoken', async (call) =>
        ok({ token: await mintIdToken(parts, jsonBody(call)) }),
      ),
      control('emulator.calls', 'GET', '/_emulator/calls', (call) =>
        ok({ calls: parts.calls.since(since(call)), last: parts.calls.last }),
      ),
    ],
  };
}

function control(
  id: string,
  verb: Route['verb'],
  path: string,
  handle: (call: Call) => Answer | Promise<Answer>,
): Route {
  return { id, verb, path, scopes: 'none', control: true, handle };
}

function drainTimeout(request: Readonly<Record<string, unknown>>): number {
  const unknown = Object.keys(request).find((key) => key !== 'timeoutMs');
  if (unknown !== undefined) throw invalidArgument(`Unknown field "${unknown}"; known is timeoutMs.`);
  const timeoutMs = request['timeoutMs'] ?? DEFAULT_DRAIN_MS;
  if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0 && timeoutMs <= MAX_DRAIN_MS))
    throw invalidArgument(`"timeoutMs" must be a number from 0 to ${MAX_DRAIN_MS}.`);
  return timeoutMs;
}

function since(call: Call): number {
  const text = call.query.get('since') ?? '0';
  if (!/^\d{1,15}$/.test(text)) throw invalidArgument(`"since" must be the number of a call, not "${text}".`);
  return Number(text);
}

function index(context: EmulatorContext, routes: readonly Route[]): unknown {
  const show = (route: Route): string => `${route.verb} ${route.path.replaceAll('\\', '')}`;
  return {
    emulator: 'A local twin of the Google APIs that Sealwright uses, with a clock that can be moved.',
    root: context.rootUrl(),
    clock: readClock(context.clock),
    controls: routes.filter((route) => route.control === true).map(show),
    methods: Object.fromEntries(
      routes.filter((route) => route.control !== true).map((route) => [route.id, show(route)]),
    ),
  };
}
