import { measured } from '../domain/packed-entries.ts';
import type { CrlLedger } from '../ports/ledger/crls.ts';

/** 72 kB of entries with a serial of ours. */
const PAGE = 2_000;

/** Whom a CRL issued now must list, by serial, a page of `packed-entries.ts` at a time. */
export async function* everybodyRevoked(
  ledger: Pick<CrlLedger, 'revokedLeaves'>,
  issuerId: string,
): AsyncGenerator<Uint8Array> {
  for (let afterSerialHex = ''; ; ) {
    const page = await ledger.revokedLeaves(issuerId, { afterSerialHex, limit: PAGE });
    if (page.length === 0) return;
    // Before whoever takes the page can be done with it.
    const { count, lastSerialHex } = measured(page);
    yield page;
    if (count < PAGE) return;
    afterSerialHex = lastSerialHex;
  }
}
