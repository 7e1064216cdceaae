/** What a key from outside is compared with, whichever way it comes in. */
import { sharedAmong, type Weakness } from '../pki/weak-key.ts';
import type { Ledger } from '../ports/ledger.ts';

const KEYS_AT_ONCE = 2_000;

/**
 * Whether a key shares its modulus or a prime with any that was ever to be certified here. Reads all of them, about a second for
 * a hundred thousand; the very same key among them is no finding.
 */
export const sharedWithKnownKeys = async (
  ledger: Pick<Ledger, 'knownPublicKeys'>,
  spkiDer: Uint8Array,
): Promise<Weakness | undefined> => await sharedAmong(spkiDer, knownKeys(ledger));

async function* knownKeys(ledger: Pick<Ledger, 'knownPublicKeys'>): AsyncGenerator<readonly Uint8Array[]> {
  let after: string | undefined;
  do {
    const page = await ledger.knownPublicKeys({
      limit: KEYS_AT_ONCE,
      ...(after === undefined ? {} : { after }),
    });
    yield page.spkisDer;
    after = page.next;
  } while (after !== undefined);
}
