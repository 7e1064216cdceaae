/** Certificates with their chains, for exports. Public data: there is no key in any of it. */
import { permanent } from '../../shared/errors.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { HttpAnswer } from '../wire/http.ts';

export interface CertificateDeps {
  readonly ledger: Pick<Ledger, 'readLeafIntent' | 'readIssuer'>;
}

const base64 = (der: Uint8Array): string => Buffer.from(der).toString('base64');

/** `certificate`, and `chain` above it up to the root, all DER in base64. */
export async function chainOf(
  { ledger }: { readonly ledger: Pick<Ledger, 'readIssuer'> },
  leafDer: Uint8Array,
  issuerId: string,
): Promise<{ readonly certificate: string; readonly chain: readonly string[] }> {
  const issuer = await ledger.readIssuer(issuerId);
  if (issuer === undefined)
    throw permanent('issuer-missing', `The ledger does not know the issuer ${issuerId}.`);
  return {
    certificate: base64(leafDer),
    chain: [issuer.certificateDer, ...issuer.chainDer].map(base64),
  };
}

/** One certificate of a user by its serial, whatever became of it. */
export async function readCertificate(deps: CertificateDeps, serial: string): Promise<HttpAnswer> {
  const serialHex = serial.toLowerCase();
  const leaf = /^[0-9a-f]{2,40}$/.test(serialHex) ? await deps.ledger.readLeafIntent(serialHex) : undefined;
  if (leaf?.leafDer === undefined) {
    throw permanent(
      'not-found',
      leaf === undefined
        ? `There is no certificate with serial ${serial}.`
        : `The certificate with serial ${serial} is not signed yet.`,
    );
  }
  const { userId, addresses, notBefore, notAfter, profile, revocation } = leaf;
  return {
    status: 200,
    body: {
      serial: serialHex,
      userId,
      addresses,
      profile,
      holder: leaf.holder ?? 'key-service',
      notBefore,
      notAfter,
      revocation,
      ...(await chainOf(deps, leaf.leafDer, leaf.issuerId)),
    },
  };
}
