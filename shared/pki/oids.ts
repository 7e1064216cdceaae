/** Object identifiers, under the names their documents use. */

/** Certificate extensions (RFC 5280 §4.2); the names are used in profiles and findings. */
export const EXTENSION_OIDS = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  cRLDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
  /** id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1). */
  ocspNoCheck: '1.3.6.1.5.5.7.48.1.5',
} as const;

export type ExtensionName = keyof typeof EXTENSION_OIDS;

/** CRL and CRL entry extensions (RFC 5280 §5.2 and §5.3). */
export const CRL_OIDS = {
  cRLNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  invalidityDate: '2.5.29.24',
  issuingDistributionPoint: '2.5.29.28',
} as const;

/** Extended key usages we certify (RFC 5280 §4.2.1.12; documentSigning is RFC 9336's). */
export const KEY_PURPOSE_OIDS = {
  emailProtection: '1.3.6.1.5.5.7.3.4',
  ocspSigning: '1.3.6.1.5.5.7.3.9',
  documentSigning: '1.3.6.1.5.5.7.3.36',
} as const;

/** Extended key usages that an S/MIME certificate or its issuer must not have (Google A.4 and A.5; SMBR 7.1.2). */
export const FORBIDDEN_PURPOSE_OIDS: Readonly<Record<string, string>> = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  timeStamping: '1.3.6.1.5.5.7.3.8',
  anyExtendedKeyUsage: '2.5.29.37.0',
};

export type KeyPurpose = keyof typeof KEY_PURPOSE_OIDS;

export const ACCESS_METHOD_OIDS = {
  ocsp: '1.3.6.1.5.5.7.48.1',
  caIssuers: '1.3.6.1.5.5.7.48.2',
} as const;

/** OCSP (RFC 6960 §4.2.1, RFC 9654 §2.1) and the digests of a CertID. */
export const OCSP_OIDS = {
  basicResponse: '1.3.6.1.5.5.7.48.1.1',
  nonce: '1.3.6.1.5.5.7.48.1.2',
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
} as const;

export const ATTRIBUTE_OIDS = {
  commonName: '2.5.4.3',
  surname: '2.5.4.4',
  countryName: '2.5.4.6',
  organizationName: '2.5.4.10',
  organizationalUnitName: '2.5.4.11',
  givenName: '2.5.4.42',
  organizationIdentifier: '2.5.4.97',
  emailAddress: '1.2.840.113549.1.9.1',
} as const;

export const ANY_POLICY = '2.5.29.32.0';

/** Qualifier of a policy that names a practice statement. */
export const CPS_QUALIFIER = '1.3.6.1.5.5.7.2.1';

/** The arc of the CA/Browser Forum's reserved S/MIME policies (S/MIME Baseline Requirements 7.1.6.1). */
export const RESERVED_POLICY_ARC = '2.23.140.1.5.';

/** The reserved policies a leaf may name: strict and multipurpose; Legacy ended on 2025-07-15 (SMBR 7.1.6.1). */
export const RESERVED_POLICIES = {
  mailbox: ['2.23.140.1.5.1.2', '2.23.140.1.5.1.3'],
  sponsor: ['2.23.140.1.5.3.2', '2.23.140.1.5.3.3'],
} as const;

/**
 * A policy OID for trials and samples, under the enterprise number that RFC 5612 sets aside for documentation. A real
 * tenant configures an OID under its own private enterprise number (free from IANA).
 */
export const EXAMPLE_POLICY_OID = '1.3.6.1.4.1.32473.1.1';

/** KeyUsage bits (RFC 5280 §4.2.1.3). */
export const KEY_USAGE_BITS = {
  digitalSignature: 0,
  nonRepudiation: 1,
  keyEncipherment: 2,
  dataEncipherment: 3,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
  encipherOnly: 7,
  decipherOnly: 8,
} as const;

export type KeyUsage = keyof typeof KEY_USAGE_BITS;
