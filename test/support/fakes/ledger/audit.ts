import { chainOf, entrySha256Hex, NO_ENTRY_SHA256_HEX } from '../../../../shared/audit/entry.ts';
import type { ChainedEntry, ChainHead } from '../../../../shared/ports/ledger/audit-chains.ts';
import type { AuditEntry, Ledger } from '../../../../shared/ports/ledger.ts';
import { byText, type Memory } from './rows.ts';

export function insertAudit({ rows, clock }: Memory, entry: AuditEntry): void {
  const { audit } = rows.now;
  audit.push({ ...entry, id: BigInt(audit.length + 1), at: clock.now() });
}

/** Linked when somebody reads them: nothing here is ever changed, so the links are the same as if made when written. */
function chained({ rows }: Memory): readonly ChainedEntry[] {
  const heads = new Map<string, ChainedEntry>();
  return rows.now.audit.map((entry) => {
    const before = heads.get(chainOf(entry));
    const place = (before?.place ?? 0n) + 1n;
    const previousSha256Hex = before?.sha256Hex ?? NO_ENTRY_SHA256_HEX;
    const open = { ...entry, place, previousSha256Hex, sha256Hex: '' };
    const linked = { ...open, sha256Hex: entrySha256Hex(open) };
    heads.set(chainOf(entry), linked);
    return linked;
  });
}

export const audit = (
  memory: Memory,
): Pick<
  Ledger,
  'audit' | 'auditTrail' | 'auditEntriesOfStep' | 'settledAuditEntry' | 'auditHeads' | 'auditEnds'
> => ({
  audit: async (entry) => insertAudit(memory, entry),
  auditTrail: async ({ userId, afterId = 0n, limit }) =>
    chained(memory)
      .filter((entry) => (userId === undefined || entry.userId === userId) && entry.id > afterId)
      .slice(0, limit),
  auditEntriesOfStep: async (step, userIds) =>
    chained(memory).filter((entry) => entry.step === step && userIds.includes(entry.userId ?? '')),
  settledAuditEntry: async () => BigInt(memory.rows.now.audit.length),
  async *auditHeads(lastEntryId) {
    yield* headsUpTo(memory, lastEntryId);
  },
  auditEnds: async ({ afterChain, limit }) =>
    headsUpTo(memory, BigInt(memory.rows.now.audit.length))
      .filter(({ chain }) => afterChain === undefined || byText(chain, afterChain) > 0)
      .slice(0, limit),
});

function headsUpTo(memory: Memory, lastEntryId: bigint): readonly ChainHead[] {
  const heads = new Map<string, ChainHead>();
  for (const entry of chained(memory)) {
    const chain = chainOf(entry);
    if (entry.id <= lastEntryId) heads.set(chain, { chain, place: entry.place, sha256Hex: entry.sha256Hex });
  }
  return [...heads.values()].toSorted((left, right) => byText(left.chain, right.chain));
}
