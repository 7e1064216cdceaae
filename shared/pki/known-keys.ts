/** What a key from outside is compared with, whichever way it comes in. */
import { sharedAmong, type Weakness } from './weak-key.ts';

/** Every public key (SubjectPublicKeyInfo, DER) that was ever to be certified, in pages; the ledger is one. */
export interface KnownKeys {
  knownPublicKeys(page: {
    readonly after?: string;
    readonly limit: number;
  }): Promise<{ readonly spkisDer: readonly Uint8Array[]; readonly next?: string }>;
}

const KEYS_AT_ONCE = 2_000;

/**
 * Whether a key shares its modulus or a prime with any that was ever to be certified here. Reads all of them, about a second for
 * a hundred thousand; the very same key among them is no finding.
 */
export const sharedWithKnownKeys = async (
  known: KnownKeys,
  spkiDer: Uint8Array,
): Promise<Weakness | undefined> => await sharedAmong(spkiDer, pagesOf(known));

async function* pagesOf(known: KnownKeys): AsyncGenerator<readonly Uint8Array[]> {
  let after: string | undefined;
  do {
    const page = await known.knownPublicKeys({
      limit: KEYS_AT_ONCE,
      ...(after === undefined ? {} : { after }),
    });
    yield page.spkisDer;
    after = page.next;
  } while (after !== undefined);
}
