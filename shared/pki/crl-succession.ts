/**
 * Whether one CRL may follow another at a publication point. Revocation is never undone: an entry stays until one CRL
 * issued after the certificate's expiry has carried it (RFC 5280 §3.3), and its date and reason stay as they were.
 */
import { permanent } from '../errors.ts';
import type { Crl, RevokedCertificate } from './crl-reader.ts';
import { sameBytes } from './der-reader.ts';

export interface SuccessionContext {
  /** notAfter of a certificate by serial; undefined where the ledger does not know it, and then its entry must stay. */
  readonly notAfterOf: (serialHex: string) => Date | undefined;
  readonly now: Date;
}

/** A sentence for each reason why `next` may not replace `previous`; none when it may. */
export function checkSuccession(previous: Crl, next: Crl, context: SuccessionContext): readonly string[] {
  const objections = [...frameObjections(previous, next, context.now)];
  for (const [serialHex, before] of previous.entries) {
    const after = next.entries.get(serialHex);
    if (after === undefined) {
      objections.push(...vanishedObjections(serialHex, previous, context.notAfterOf(serialHex)));
    } else if (!sameRevocation(before, after)) {
      objections.push(changedObjection(serialHex));
    }
  }
  return objections;
}

/** What stands around the entries. */
export type CrlFrameRead = Omit<Crl, 'entries' | 'authorityKeyIdentifier'>;

/** What is against it before any entry is looked at. */
export function frameObjections(previous: CrlFrameRead, next: CrlFrameRead, now: Date): readonly string[] {
  const objections: string[] = [];
  if (!sameBytes(previous.issuerDer, next.issuerDer)) objections.push('It is another issuer’s CRL.');
  if (
    previous.crlNumber !== undefined &&
    !(next.crlNumber !== undefined && next.crlNumber > previous.crlNumber)
  ) {
    objections.push(
      `Its number ${next.crlNumber ?? '(none)'} is not greater than ${previous.crlNumber}, which is published.`,
    );
  }
  if (next.thisUpdate < previous.thisUpdate) {
    objections.push(
      `It was issued at ${next.thisUpdate.toISOString()}, before the published one (${previous.thisUpdate.toISOString()}).`,
    );
  }
  if (next.thisUpdate > now) {
    objections.push(`It claims to be issued at ${next.thisUpdate.toISOString()}, which is in the future.`);
  }
  if (next.nextUpdate === undefined || next.nextUpdate <= now) {
    objections.push('It is out of date already.');
  }
  return objections;
}

export const changedObjection = (serialHex: string): string =>
  `Serial ${serialHex} has another date or reason than before.`;

/** None where `previous` is the one CRL after the certificate's end that must have carried the entry. */
export const vanishedObjections = (
  serialHex: string,
  previous: Pick<CrlFrameRead, 'thisUpdate'>,
  notAfter: Date | undefined,
): readonly string[] =>
  notAfter !== undefined && previous.thisUpdate > notAfter
    ? []
    : [
        `Serial ${serialHex} has vanished, and no CRL issued after its end (${notAfter?.toISOString() ?? 'unknown'}) has carried it.`,
      ];

/** Throws `publication-refused` (permanent) with every objection, or the first ten of many. */
export function assertSuccession(previous: Crl, next: Crl, context: SuccessionContext): void {
  refuseFor(checkSuccession(previous, next, context), next.crlNumber);
}

/** Throws `publication-refused` (permanent) unless there are no objections. */
export function refuseFor(objections: readonly string[], crlNumber: bigint | undefined): void {
  if (objections.length === 0) return;
  const more = objections.length > 10 ? ` And ${objections.length - 10} more.` : '';
  throw permanent(
    'publication-refused',
    `CRL ${crlNumber ?? '(without number)'} may not replace the published one. ${objections.slice(0, 10).join(' ')}${more} Leave the published one in place and compare the ledger with it.`,
  );
}

export const sameRevocation = (before: RevokedCertificate, after: RevokedCertificate) =>
  before.revokedAt.getTime() === after.revokedAt.getTime() && before.reasonCode === after.reasonCode;
