/** Admins at their command lines, over an admin function that is served as it is when deployed. */
import { expect } from 'vitest';
import type { HttpHandler } from '../../functions/wire/http.ts';
import { serveHandler } from '../functions/support/served.ts';
import { type Ended, sealwright } from './sealwright.ts';

const ANA = 'YW5h.YW5h.YW5h';
const BOB = 'Ym9i.Ym9i.Ym9i';
/** Whose each token is: for `adminOver`. */
export const ADMINS: Readonly<Record<string, string>> = {
  [ANA]: 'ana@acme.example',
  [BOB]: 'bob@acme.example',
};
/** What an admin says about legal holds before something is destroyed. */
export const SENTENCE = 'Legal confirmed on 2026-11-20 that nobody here is on hold.';

export type CommandLine = (...words: string[]) => Promise<Ended>;

export interface Desk {
  readonly ana: CommandLine;
  readonly bob: CommandLine;
  close(): Promise<void>;
}

/** `admin` is asked at each request, so that a test may put another function in its place. */
export async function openDesk(admin: () => HttpHandler): Promise<Desk> {
  const silent = { info: () => undefined, warning: () => undefined, error: () => undefined };
  const served = await serveHandler((call) => admin()(call), silent);
  const as =
    (token: string): CommandLine =>
    (...words) =>
      sealwright(words, { SEALWRIGHT_ADMIN_URL: served.url, SEALWRIGHT_ADMIN_TOKEN: token });
  return { ana: as(ANA), bob: as(BOB), close: served.close };
}

/** What a command that ended well wrote. */
export function done(ended: Ended): string {
  expect(ended).toMatchObject({ exit: 0 });
  return ended.stdout;
}
