/**
 * Comparing the bytes of an intent with the columns beside them. The bytes are what gets signed, the columns are what
 * everybody else acts on (renewal, revocation, the guard): if they tell two stories, nothing is signed.
 */
import { permanent } from '../errors.ts';
import { readIssuer, readTbsCertificate } from './certificate.ts';
import { addressesOf } from './chain.ts';
import { DerError, sameBytes } from './der-reader.ts';

/** What the ledger says of a leaf; a `StoredLeafIntent` fits. */
export interface LeafFacts {
  readonly serialHex: string;
  readonly addresses: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly spkiDer: Uint8Array;
  readonly tbsDer: Uint8Array;
}

/** Throws `intent-mismatch` (permanent), naming the fields that differ. Values are compared exactly, order included. */
export function assertIntentMatches(facts: LeafFacts, issuerCertificateDer: Uint8Array): void {
  const differing = differingFields(facts, issuerCertificateDer);
  if (differing.length === 0) return;
  throw permanent(
    'intent-mismatch',
    `The recorded bytes of leaf ${facts.serialHex} do not say what its row says (${differing.join(', ')}); nothing was signed. Find out who changed the row, then issue anew under a new serial.`,
    { details: { serialHex: facts.serialHex, fields: differing } },
  );
}

function differingFields(facts: LeafFacts, issuerCertificateDer: Uint8Array): readonly string[] {
  const issuer = readIssuer(issuerCertificateDer).certificate;
  try {
    const tbs = readTbsCertificate(facts.tbsDer);
    const fields: readonly (readonly [string, boolean])[] = [
      ['serial', tbs.serialHex === facts.serialHex],
      ['issuer', sameBytes(tbs.issuerDer, issuer.subjectDer)],
      ['public key', sameBytes(tbs.spkiDer, facts.spkiDer)],
      ['notBefore', tbs.notBefore.at.getTime() === facts.notBefore.getTime()],
      ['notAfter', tbs.notAfter.at.getTime() === facts.notAfter.getTime()],
      ['addresses', JSON.stringify(addressesOf(tbs)) === JSON.stringify(facts.addresses)],
    ];
    return fields.filter(([, same]) => !same).map(([name]) => name);
  } catch (error) {
    if (error instanceof DerError) return ['the bytes are no to-be-signed certificate'];
    throw error;
  }
}
