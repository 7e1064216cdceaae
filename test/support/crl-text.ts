/** CRLs of the ledger as whole buffers, for tests: the product only ever has them in parts. */
import { signedParts, whole } from '../../shared/pki/crl-parts.ts';
import type { CrlText, Ledger, StoredCrl } from '../../shared/ports/ledger.ts';

/** A TBSCertList that is there already, or any other bytes. */
export const textOf = (tbsDer: Uint8Array): CrlText => ({
  blocks: [],
  around: () => ({ head: tbsDer, tail: new Uint8Array() }),
});

export const tbsOf = (crl: StoredCrl | undefined): Promise<Uint8Array> => whole(crl?.tbsParts() ?? []);

/** The signed CRL, DER; undefined where there is none. */
export async function signedCrlDer(
  ledger: Pick<Ledger, 'readCrl'>,
  issuerId: string,
  crlNumber: bigint,
): Promise<Uint8Array | undefined> {
  const crl = await ledger.readCrl(issuerId, crlNumber);
  return crl?.endDer === undefined ? undefined : await whole(signedParts(crl.tbsParts(), crl.endDer));
}

/** What `recordPublishedCrl` asks, for a CRL that lists these. */
export const listing =
  (serials: Iterable<string>) =>
  async (asked: readonly string[]): Promise<readonly string[]> => {
    const listed = new Set(serials);
    return asked.filter((serialHex) => listed.has(serialHex));
  };

export const listingNobody = listing([]);
