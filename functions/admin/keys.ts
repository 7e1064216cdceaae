import { invalidInput } from '../../shared/errors.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { HttpAnswer } from '../wire/http.ts';

export interface AdminKeysDeps {
  readonly ledger: Pick<Ledger, 'countWrappedKeys' | 'countCardKeys' | 'addressHistory'>;
}

const PEOPLE_PER_PAGE = 5_000;

/** `{"wrappedKeys":[…],"cardKeys":N}`: how many lie under which key-encryption key, how many on cards. Never a wrapped key. */
export async function readWrappedKeys(deps: AdminKeysDeps): Promise<HttpAnswer> {
  const [wrappedKeys, cardKeys] = await Promise.all([
    deps.ledger.countWrappedKeys(),
    deps.ledger.countCardKeys(),
  ]);
  return { status: 200, body: { wrappedKeys, cardKeys } };
}

/** `{"people":[{"userId","addresses":[…]}],"next"}`: everybody with every address they have or had. */
export async function readAddresses(deps: AdminKeysDeps, query: URLSearchParams): Promise<HttpAnswer> {
  const after = query.get('after');
  if (after !== null && !/^[\x21-\x7e]{1,64}$/.test(after))
    throw invalidInput('malformed-request', '"after" must be a user id.');
  const page = { limit: PEOPLE_PER_PAGE, ...(after === null ? {} : { after }) };
  return { status: 200, body: await deps.ledger.addressHistory(page) };
}
