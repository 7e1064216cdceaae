/** `crl-succession.ts` for two CRLs that come in parts: both are gone through once, side by side, as both ascend by serial. */
import { advance, EntryCursor, entryRuns } from './crl-entries.ts';
import { CrlPartsReader, type Parts, type ReadInParts } from './crl-parts.ts';
import { compareSerials, crlNumberOf, readRevocation } from './crl-reader.ts';
import {
  type CrlFrameRead,
  changedObjection,
  frameObjections,
  refuseFor,
  sameRevocation,
  vanishedObjections,
} from './crl-succession.ts';

export interface PartsSuccessionContext {
  /** notAfter of a certificate by serial; undefined where the ledger does not know it, and then its entry must stay. */
  readonly notAfterOf: (serialHex: string) => Promise<Date | undefined>;
  readonly now: Date;
}

/** More of them say nothing new. */
const ENOUGH = 100;

/**
 * Goes through both to their ends. Throws `publication-refused` (permanent) with the objections; `DerError` for what is no
 * CRL; `IrregularEntries` for a list that does not ascend, as other CAs make them.
 */
export async function assertPartsSuccession(
  previousParts: Parts,
  nextParts: Parts,
  context: PartsSuccessionContext,
  nextReader: CrlPartsReader = new CrlPartsReader(),
): Promise<ReadInParts> {
  const previousReader = new CrlPartsReader();
  const previous = new EntryCursor(entryRuns(previousParts, previousReader));
  const next = new EntryCursor(entryRuns(nextParts, nextReader));
  const { vanished, changed } = await differences(previous, next);
  const read = nextReader.end();
  const before = frameOf(previousReader.end());
  const after = frameOf(read);
  const objections = [...frameObjections(before, after, context.now), ...changed.map(changedObjection)];
  for (const serialHex of vanished) {
    objections.push(...vanishedObjections(serialHex, before, await context.notAfterOf(serialHex)));
    if (objections.length >= ENOUGH) break;
  }
  refuseFor(objections, after.crlNumber);
  return read;
}

/** Serials that only `previous` lists, and serials about which `next` says something else. */
async function differences(previous: EntryCursor, next: EntryCursor) {
  const vanished: string[] = [];
  const changed: string[] = [];
  let isOnNext = await advance(next);
  while (previous.step() || (await advance(previous))) {
    let order = isOnNext ? compareSerials(next.view, next.at, previous.view, previous.at) : 1;
    while (order < 0) {
      isOnNext = next.step() || (await advance(next));
      order = isOnNext ? compareSerials(next.view, next.at, previous.view, previous.at) : 1;
    }
    if (order > 0) vanished.push(previous.entry.serialHex);
    else if (!saySame(previous, next)) changed.push(previous.entry.serialHex);
  }
  while (isOnNext) isOnNext = next.step() || (await advance(next));
  return { vanished, changed };
}

function saySame(previous: EntryCursor, next: EntryCursor): boolean {
  if (Buffer.compare(previous.der, next.der) === 0) return true;
  return sameRevocation(readRevocation(previous.entry), readRevocation(next.entry));
}

/** What `checkSuccession` compares besides the entries. */
const frameOf = ({ header }: ReadInParts): CrlFrameRead => ({
  issuerDer: header.issuerDer,
  crlNumber: crlNumberOf(header),
  thisUpdate: header.thisUpdate.at,
  nextUpdate: header.nextUpdate?.at,
});
