import { z } from 'zod';
import { invalidInput } from '../../shared/errors.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { type ProveDeps, proveKeys } from '../../shared/reconcile/prove-keys.ts';
import type { HttpAnswer } from '../wire/http.ts';
import { bodyOf } from './body.ts';

export interface AdminKeysDeps {
  readonly ledger: Pick<
    Ledger,
    'countWrappedKeys' | 'countCardKeys' | 'countImportedKeys' | 'addressHistory'
  >;
}

const PEOPLE_PER_PAGE = 5_000;

/**
 * `{"wrappedKeys":[…],"cardKeys":N,"importedKeys":N}`: how many lie under which key-encryption key, how many on cards, and how many
 * of the wrapped ones were imported for old mail. Never a wrapped key.
 */
export async function readWrappedKeys(deps: AdminKeysDeps): Promise<HttpAnswer> {
  const [wrappedKeys, cardKeys, importedKeys] = await Promise.all([
    deps.ledger.countWrappedKeys(),
    deps.ledger.countCardKeys(),
    deps.ledger.countImportedKeys(),
  ]);
  return { status: 200, body: { wrappedKeys, cardKeys, importedKeys } };
}

/** `{"people":[{"userId","addresses":[…]}],"next"}`: everybody with every address they have or had. */
export async function readAddresses(deps: AdminKeysDeps, query: URLSearchParams): Promise<HttpAnswer> {
  const after = query.get('after');
  if (after !== null && !/^[\x21-\x7e]{1,64}$/.test(after))
    throw invalidInput('malformed-request', '"after" must be a user id.');
  const page = { limit: PEOPLE_PER_PAGE, ...(after === null ? {} : { after }) };
  return { status: 200, body: await deps.ledger.addressHistory(page) };
}

export type ProveKeysDeps = Omit<ProveDeps, 'ledger'>;

const proveBody = z.strictObject({
  keyService: z.url(),
  /** Longer than any token of an identity provider. */
  authentication: z.string().min(1).max(16_384),
  after: z.string().max(128).optional(),
});

/**
 * `{"proven","failed":[{"keyId","userId","user","reason"}],"next"}`. The token goes to no other address than one that keys in the
 * ledger name; it is neither logged nor kept.
 */
export async function proveWrappedKeys(deps: ProveDeps, admin: string, body: unknown): Promise<HttpAnswer> {
  const { keyService: keyServiceUrl, authentication, after } = bodyOf(proveBody, body);
  const run = { keyServiceUrl, authentication, admin, ...(after === undefined ? {} : { after }) };
  return { status: 200, body: await proveKeys(deps, run) };
}
