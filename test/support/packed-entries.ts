/** Entries as objects again: the product hands them on as they are packed. */
import {
  AFTER_SERIAL,
  type CrlEntry,
  INVALIDITY_DATE,
  REASON,
  REVOKED_AT,
} from '../../shared/domain/packed-entries.ts';
import { REVOCATION_REASONS, type RevocationReason } from '../../shared/domain/revocation-reason.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';

const REASONS = Object.keys(REVOCATION_REASONS) as readonly RevocationReason[];

export function unpackEntries(packed: Uint8Array): CrlEntry[] {
  const bytes = Buffer.from(packed);
  const entries: CrlEntry[] = [];
  for (let at = 0; at < bytes.length; ) {
    const after = at + 1 + bytes.readUInt8(at);
    const code = bytes.readUInt8(after + REASON);
    const reason = REASONS.find((one) => REVOCATION_REASONS[one] === code);
    if (reason === undefined) throw new Error(`${code} is no reason.`);
    const invalidity = bytes.readDoubleBE(after + INVALIDITY_DATE);
    entries.push({
      serialHex: bytes.toString('hex', at + 1, after),
      reason,
      revokedAt: new Date(bytes.readDoubleBE(after + REVOKED_AT)),
      ...(Number.isNaN(invalidity) ? {} : { invalidityDate: new Date(invalidity) }),
    });
    at = after + AFTER_SERIAL;
  }
  return entries;
}

/** `Ledger.revokedLeaves`, unpacked. */
export const revokedLeaves = async (
  ledger: Pick<Ledger, 'revokedLeaves'>,
  ...asked: Parameters<Ledger['revokedLeaves']>
): Promise<readonly CrlEntry[]> => unpackEntries(await ledger.revokedLeaves(...asked));
