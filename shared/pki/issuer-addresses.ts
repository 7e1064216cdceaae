/**
 * Which addresses whoever checks a certificate meets on its way to the root: those in the leaf, and those in each CA
 * certificate above it but the root.
 */
import type { PrintedAddress } from '../domain/issuer-address.ts';
import type { IssuerRecord } from '../domain/records.ts';
import { readIssuer } from './certificate.ts';
import { sameBytes } from './der-reader.ts';
import type { DecodedExtensions } from './extensions-reader.ts';
import { ACCESS_METHOD_OIDS } from './oids.ts';

/** What is needed of an issuer to name them. */
export type AddressedIssuer = Pick<
  IssuerRecord,
  'certificateDer' | 'chainDer' | 'crlUrl' | 'issuerUrl' | 'ocspUrl'
>;

export interface CarriedAddress extends PrintedAddress {
  /** `leaf`: our own to keep right. `ca`: in a CA certificate, whose issuer it belongs to. */
  readonly carrier: 'leaf' | 'ca';
  /** The CA whose CRL or certificate has to be there, or about whose certificates is answered there; its certificate, DER. */
  readonly authorityDer: Uint8Array;
}

/** What a certificate carries, from its own bytes. */
export const printedAddresses = (extensions: DecodedExtensions): readonly PrintedAddress[] => [
  ...(extensions.cRLDistributionPoints ?? []).flatMap(({ names }) =>
    names.map(({ value }) => ({ kind: 'crl' as const, url: value })),
  ),
  ...(extensions.authorityInfoAccess ?? []).map(({ method, location }) => ({
    kind: method === ACCESS_METHOD_OIDS.ocsp ? ('ocsp' as const) : ('issuer' as const),
    url: location.value,
  })),
];

/**
 * What the next leaf of an issuer will carry, and what the CA certificates of its chain carry for CRLs and issuers. An OCSP
 * address in a CA certificate is left out: it answers for whoever runs the CA above, and their CRL says the same.
 */
export const carriedAddresses = (issuer: AddressedIssuer): readonly CarriedAddress[] => [
  ...ofLeaves(issuer).map((address) => ({
    ...address,
    carrier: 'leaf' as const,
    authorityDer: issuer.certificateDer,
  })),
  ...chainAddresses(issuer),
];

/** The same, by kind and address alone. */
export const addressesOf = (issuer: AddressedIssuer): readonly PrintedAddress[] =>
  carriedAddresses(issuer).map(({ kind, url }) => ({ kind, url }));

const ofLeaves = (issuer: AddressedIssuer): readonly PrintedAddress[] => [
  { kind: 'crl', url: issuer.crlUrl },
  { kind: 'issuer', url: issuer.issuerUrl },
  ...(issuer.ocspUrl === undefined ? [] : [{ kind: 'ocsp' as const, url: issuer.ocspUrl }]),
];

/** What the CA certificates of an issuer's chain carry, its own first. */
export function chainAddresses({
  certificateDer,
  chainDer,
}: Pick<AddressedIssuer, 'certificateDer' | 'chainDer'>): readonly CarriedAddress[] {
  const path = [certificateDer, ...chainDer];
  return path.flatMap((der, place) => {
    const authorityDer = path[place + 1];
    if (authorityDer === undefined || isRoot(der)) return [];
    return fetchable(printedAddresses(readIssuer(der).extensions)).map((address) => ({
      ...address,
      carrier: 'ca' as const,
      authorityDer,
    }));
  });
}

function isRoot(der: Uint8Array): boolean {
  const { certificate } = readIssuer(der);
  return sameBytes(certificate.subjectDer, certificate.issuerDer);
}

/** A directory's address (ldap) beside one of plain http is another way to the same, for those inside its network. */
function fetchable(printed: readonly PrintedAddress[]): readonly PrintedAddress[] {
  const asked = printed.filter(({ kind }) => kind !== 'ocsp');
  const isHttp = ({ url }: PrintedAddress) => url.startsWith('http:');
  return asked.filter(
    (address) => isHttp(address) || !asked.some((other) => other.kind === address.kind && isHttp(other)),
  );
}
