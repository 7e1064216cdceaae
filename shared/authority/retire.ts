/**
 * An issuer that its root has revoked is over at once: its key may be disabled or gone, so that it signs no CRL that would let
 * it retire by itself, and nobody who checks chains asks for one any more.
 */
import type { IssuerRecord } from '../domain/records.ts';
import { invalidInput, permanent } from '../errors.ts';
import { readIssuer } from '../pki/certificate.ts';
import { readCrl, verifyCrl } from '../pki/crl-reader.ts';
import { sameBytes } from '../pki/der-reader.ts';
import type { AuthorityDeps } from './deps.ts';
import { knownIssuer } from './known-issuer.ts';
import { objectName } from './publish-crl.ts';

/**
 * Retires an issuer that the CRL of the CA above it lists: `crlDer`, or else the one that is public under the address in the
 * issuer's certificate, where that is ours. Again is done already. Throws `issuer-missing` for one the ledger does not know,
 * `conflict` (permanent) for the active one and for one that is not revoked, `settings-invalid` for a CRL of another CA or where
 * one has to be given.
 */
export async function retireRevoked(
  deps: Pick<AuthorityDeps, 'ledger' | 'bucket'>,
  issuerId: string,
  crlDer?: Uint8Array,
): Promise<IssuerRecord> {
  const issuer = await knownIssuer(deps, issuerId);
  if (issuer.state === 'retired') return issuer;
  if (issuer.state === 'active') {
    throw permanent(
      'conflict',
      `Issuer ${issuerId} is the active one: make the next issuing CA first ("sealwright ca roll"), then retire this one.`,
    );
  }
  const { serialHex } = readIssuer(issuer.certificateDer).certificate;
  const crl = readCrl(await crlAbove(deps, issuer, crlDer));
  if (!crl.entries.has(serialHex)) {
    throw permanent(
      'conflict',
      `CRL ${crl.crlNumber ?? 0n} of the CA above does not list issuer ${issuerId} (serial ${serialHex}): people trust what it signed, so it goes on signing its CRLs and is retired by itself when its last certificate has ended. To revoke it: "sealwright ca root-crl --offline DIR --revoke FILE --reason REASON", then "--publish".`,
    );
  }
  const isRetired = await deps.ledger.retireIssuer(
    issuerId,
    {
      cause: { source: 'admin', eventId: issuerId, event: 'ca-retire' },
      step: 'issuer-retired',
      reason: 'The CA above has revoked it; it was retired with "sealwright ca retire".',
      outcome: 'done',
      details: { issuerId, serialHex, crlNumber: String(crl.crlNumber ?? 0n) },
    },
    { isRevoked: true },
  );
  if (isRetired) return { ...issuer, state: 'retired' };
  throw permanent('conflict', `Issuer ${issuerId} became the active one meanwhile; it was not retired.`);
}

async function crlAbove(
  { bucket }: Pick<AuthorityDeps, 'bucket'>,
  issuer: IssuerRecord,
  given: Uint8Array | undefined,
): Promise<Uint8Array> {
  const { certificate, extensions } = readIssuer(issuer.certificateDer);
  const above = issuer.chainDer.find((der) =>
    sameBytes(readIssuer(der).certificate.subjectDer, certificate.issuerDer),
  );
  const url = extensions.cRLDistributionPoints?.[0]?.names[0]?.value;
  const isOurs = url !== undefined && new URL(url).host === new URL(issuer.crlUrl).host;
  const crlDer = given ?? (isOurs ? (await bucket.read(objectName(url)))?.bytes : undefined);
  if (crlDer === undefined) {
    throw invalidInput(
      'settings-invalid',
      `The CRL of the CA above issuer ${issuer.issuerId} is not in our bucket: fetch it from ${url ?? 'that CA'} and give it with --crl FILE.`,
      { details: { problem: 'crl-missing' } },
    );
  }
  if (above === undefined || !verifyCrl(crlDer, above)) {
    throw invalidInput(
      'settings-invalid',
      `The CRL ${given === undefined ? `at ${url}` : 'that was given'} is none, is damaged, or is not signed by the CA above issuer ${issuer.issuerId}.`,
      { details: { problem: 'another-root' } },
    );
  }
  return crlDer;
}
