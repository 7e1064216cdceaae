import type { CrlLedger, RevokedLeaf } from '../ports/ledger/crls.ts';

/**
 * As objects a page takes about 1 MB, which is gone before the collector moves it to where it stays longer; a million of them at
 * once would take half a gigabyte.
 */
const PAGE = 2_000;

/** Whom a CRL issued now must list, by serial, a page at a time. */
export async function* everybodyRevoked(
  ledger: Pick<CrlLedger, 'revokedLeaves'>,
  issuerId: string,
): AsyncGenerator<readonly RevokedLeaf[]> {
  for (let afterSerialHex = ''; ; ) {
    const page = await ledger.revokedLeaves(issuerId, { afterSerialHex, limit: PAGE });
    if (page.length > 0) yield page;
    const last = page.at(-1);
    if (page.length < PAGE || last === undefined) return;
    afterSerialHex = last.serialHex;
  }
}
