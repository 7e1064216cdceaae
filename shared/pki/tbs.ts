/**
 * Writing a TBSCertificate (RFC 5280 §4.1) and putting the signature on it. What goes in is decided by the profile
 * and the builders above this file; here are only bytes.
 */
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from './algorithm.ts';
import {
  bitString,
  booleanTrue,
  contextConstructed,
  contextPrimitive,
  ia5Bytes,
  integer,
  integerFromHex,
  namedBits,
  nullValue,
  octetString,
  oid,
  sequence,
  time,
} from './der.ts';
import {
  ACCESS_METHOD_OIDS,
  EXTENSION_OIDS,
  type ExtensionName,
  KEY_PURPOSE_OIDS,
  KEY_USAGE_BITS,
  type KeyPurpose,
  type KeyUsage,
} from './oids.ts';
import type { CertificateProfile } from './profile.ts';

export interface TbsFields {
  /** Hex of the serial's content octets. */
  readonly serialHex: string;
  readonly signatureAlgorithm: SignatureAlgorithm;
  /** The issuer's subject, byte for byte. */
  readonly issuerDer: Uint8Array;
  /** Whole seconds. */
  readonly notBefore: Date;
  /** Whole seconds; the last moment of validity. */
  readonly notAfter: Date;
  readonly subjectDer: Uint8Array;
  readonly spkiDer: Uint8Array;
  /** Encoded Extension elements. */
  readonly extensions: readonly Uint8Array[];
}

/** DER of a version 3 TBSCertificate. */
export const encodeTbs = (fields: TbsFields): Uint8Array =>
  sequence(
    contextConstructed(0, integer(2)),
    integerFromHex(fields.serialHex),
    SIGNATURE_ALGORITHMS[fields.signatureAlgorithm].der,
    fields.issuerDer,
    sequence(time(fields.notBefore), time(fields.notAfter)),
    fields.subjectDer,
    fields.spkiDer,
    contextConstructed(3, sequence(...fields.extensions)),
  );

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }, DER. */
export const assembleCertificate = (
  tbsDer: Uint8Array,
  algorithm: SignatureAlgorithm,
  signature: Uint8Array,
): Uint8Array => sequence(tbsDer, SIGNATURE_ALGORITHMS[algorithm].der, bitString(signature));

/** Values for the extensions a profile lists; what the profile itself fixes is not repeated here. */
export interface ExtensionValues {
  readonly subjectKeyIdentifier: Uint8Array;
  /** The issuer's subject key identifier. */
  readonly authorityKeyIdentifier?: Uint8Array;
  readonly policyOids?: readonly string[];
  readonly crlUrls?: readonly string[];
  readonly issuerUrls?: readonly string[];
  readonly ocspUrls?: readonly string[];
  readonly addresses?: readonly string[];
}

/** One encoded Extension; `critical` is written only when true, since false is its DEFAULT. */
export const encodeExtension = (id: string, critical: boolean, value: Uint8Array): Uint8Array =>
  critical ? sequence(oid(id), booleanTrue(), octetString(value)) : sequence(oid(id), octetString(value));

/**
 * The extensions of a profile, in the profile's order. A value the profile wants and the caller does not have is a
 * bug of the caller and throws a plain `Error`.
 */
export function encodeExtensions(
  profile: CertificateProfile,
  values: ExtensionValues,
  subjectIsEmpty: boolean,
): readonly Uint8Array[] {
  const rows = Object.entries(profile.extensions.value) as [ExtensionName, string][];
  return rows.map(([name, criticality]) =>
    encodeExtension(
      EXTENSION_OIDS[name],
      criticality === 'critical' || (criticality === 'unless-subject' && subjectIsEmpty),
      encodeValue(name, profile, values),
    ),
  );
}

function encodeValue(name: ExtensionName, profile: CertificateProfile, values: ExtensionValues): Uint8Array {
  switch (name) {
    case 'keyUsage':
      return encodeKeyUsage(profile.keyUsage.value);
    case 'extKeyUsage':
      return encodeKeyPurposes(profile.extKeyUsage.value);
    case 'basicConstraints':
      return encodeCaConstraints(profile.basicConstraints.value?.pathLength);
    case 'subjectKeyIdentifier':
      return octetString(values.subjectKeyIdentifier);
    case 'authorityKeyIdentifier':
      return encodeAuthorityKeyIdentifier(need(values.authorityKeyIdentifier, name));
    case 'certificatePolicies':
      return sequence(...need(values.policyOids, name).map((policy) => sequence(oid(policy))));
    case 'cRLDistributionPoints':
      return sequence(
        sequence(contextConstructed(0, contextConstructed(0, ...need(values.crlUrls, name).map(uri)))),
      );
    case 'authorityInfoAccess':
      return sequence(
        ...need(values.issuerUrls, name).map((url) => access(ACCESS_METHOD_OIDS.caIssuers, url)),
        ...(values.ocspUrls ?? []).map((url) => access(ACCESS_METHOD_OIDS.ocsp, url)),
      );
    case 'subjectAltName':
      return sequence(
        ...need(values.addresses, name).map((address) => contextPrimitive(1, ia5Bytes(address))),
      );
    case 'ocspNoCheck':
      return nullValue();
    default:
      return name satisfies never;
  }
}

export const encodeKeyUsage = (uses: readonly KeyUsage[]): Uint8Array =>
  namedBits(uses.map((use) => KEY_USAGE_BITS[use]));

const encodeKeyPurposes = (purposes: readonly KeyPurpose[]): Uint8Array =>
  sequence(...purposes.map((purpose) => oid(KEY_PURPOSE_OIDS[purpose])));

/** basicConstraints of a CA; a leaf has none. */
const encodeCaConstraints = (pathLength: number | undefined): Uint8Array =>
  pathLength === undefined ? sequence(booleanTrue()) : sequence(booleanTrue(), integer(pathLength));

/** keyIdentifier only, no issuer and serial (SMBR 7.1.2); the same in certificates and CRLs. */
export const encodeAuthorityKeyIdentifier = (keyIdentifier: Uint8Array): Uint8Array =>
  sequence(contextPrimitive(0, keyIdentifier));

const uri = (url: string) => contextPrimitive(6, ia5Bytes(url));

const access = (method: string, url: string) => sequence(oid(method), uri(url));

function need<Value>(value: Value | undefined, name: ExtensionName): Value {
  if (value === undefined)
    throw new Error(`The profile wants ${name}, but the builder was given no value for it.`);
  return value;
}
