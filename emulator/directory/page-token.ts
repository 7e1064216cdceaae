import { createHmac, timingSafeEqual } from 'node:crypto';
import type { FaultSwitches } from '../core/faults.ts';
import { invalidInput } from './refusals.ts';

const LIFETIME_MS = 3 * 86_400_000;

/** Where a list goes on: after this sort key, for this very question. */
interface Position {
  readonly after: readonly string[];
  readonly question: string;
  readonly issuedMs: number;
}

/**
 * Page tokens: opaque, signed, good for three days and only with the parameters they were made for. A token holds the
 * sort key of the last user shown, so a list goes on at the right place when people come or go meanwhile.
 */
export class PageTokens {
  readonly #key: Buffer;

  /** `keyBase64`: 32 bytes kept in the state, so that tokens survive a restart. */
  constructor(keyBase64: string) {
    this.#key = Buffer.from(keyBase64, 'base64');
  }

  issue(after: readonly string[], question: string, nowMs: number): string {
    const position: Position = { after, question, issuedMs: nowMs };
    const payload = Buffer.from(JSON.stringify(position));
    return Buffer.concat([this.#mac(payload), payload]).toString('base64url');
  }

  /** The sort key to go on after. Throws 400 for a token that is made up, too old, or from another question. */
  read(token: string, question: string, nowMs: number): readonly string[] {
    const bytes = Buffer.from(token, 'base64url');
    const mac = bytes.subarray(0, 16);
    const payload = bytes.subarray(16);
    if (mac.length !== 16 || !timingSafeEqual(mac, this.#mac(payload))) throw invalidInput('pageToken');
    const position = JSON.parse(payload.toString('utf8')) as Position;
    if (position.question !== question || nowMs >= position.issuedMs + LIFETIME_MS) {
      throw invalidInput('pageToken');
    }
    return position.after;
  }

  #mac(payload: Buffer): Buffer {
    return createHmac('sha256', this.#key).update(payload).digest().subarray(0, 16);
  }
}

/**
 * The first page of what is left to show, after the directory faults in force have had their way with it: an empty page
 * that goes on, or half a page that claims to be the last. `tokenAfter` makes the token that goes on after an entry.
 */
export function disturbedPage<T>(
  rest: readonly T[],
  maxResults: number,
  faults: FaultSwitches,
  tokenAfter: (last: T) => string,
): { readonly entries: readonly T[]; readonly nextPageToken: string | undefined } {
  const { truncatePages, emptyPages } = faults.current.directory;
  const page = rest.slice(0, maxResults);
  const last = page.at(-1);
  const token = last === undefined ? undefined : tokenAfter(last);
  if (token !== undefined && faults.chance(emptyPages)) return { entries: [], nextPageToken: token };
  if (page.length > 0 && faults.chance(truncatePages)) {
    return { entries: page.slice(0, Math.floor(page.length / 2)), nextPageToken: undefined };
  }
  return { entries: page, nextPageToken: rest.length > page.length ? token : undefined };
}
