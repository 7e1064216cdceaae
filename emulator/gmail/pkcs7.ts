import { Constructed, Set as DerSet, fromBER, Integer, ObjectIdentifier, Sequence } from 'asn1js';

const SIGNED_DATA = '1.2.840.113549.1.7.2';
const DATA = '1.2.840.113549.1.7.1';
const CONTEXT_CLASS = 3;

/**
 * The certificates of a certs-only PKCS#7 in PEM, in the order of the file, each as the DER bytes that stand there.
 * Certs-only means SignedData (RFC 5652 section 5.1) of version 1 without content, signers or CRLs, as
 * `openssl crl2pkcs7 -nocrl` makes it. Throws an error with a plain sentence for anything else.
 */
export function readCertsOnlyPkcs7(pem: string): readonly Buffer[] {
  const der = pemBody(pem);
  const contentInfo = sequence(wholeOf(der), 'The PKCS#7 must be a ContentInfo sequence.');
  const [type, content] = contentInfo;
  if (!(type instanceof ObjectIdentifier) || type.getValue() !== SIGNED_DATA) {
    throw new Error('The PKCS#7 must hold SignedData.');
  }
  if (!(content instanceof Constructed) || content.valueBlock.value.length !== 1) {
    throw new Error('The PKCS#7 must hold exactly one SignedData.');
  }
  const signedData = sequence(
    content.valueBlock.value[0],
    'The SignedData of the PKCS#7 must be a sequence.',
  );
  const [version, digestAlgorithms, encapsulated] = signedData;
  if (!(version instanceof Integer) || version.valueBlock.valueDec !== 1) {
    throw new Error('The SignedData of the PKCS#7 must have version 1.');
  }
  if (!isEmptySet(digestAlgorithms)) throw new Error('A certificates-only PKCS#7 has no digest algorithms.');
  requireNoContent(encapsulated);
  const tagged = signedData.slice(3, -1);
  if (tagged.some((field) => tagOf(field) === 1)) throw new Error('The PKCS#7 must hold no CRLs.');
  const certificates = tagged.find((field) => tagOf(field) === 0);
  if (!(certificates instanceof Constructed) || certificates.valueBlock.value.length === 0) {
    throw new Error('The PKCS#7 holds no certificates.');
  }
  if (tagged.length !== 1)
    throw new Error('The SignedData of the PKCS#7 has fields that do not belong there.');
  if (!isEmptySet(signedData.at(-1))) {
    throw new Error('The PKCS#7 must hold certificates only, without signers.');
  }
  return certificates.valueBlock.value.map((element) => {
    if (!(element instanceof Sequence))
      throw new Error('The PKCS#7 holds something that is no X.509 certificate.');
    return Buffer.from(element.valueBeforeDecodeView);
  });
}

function pemBody(pem: string): Buffer {
  const match = /^\s*-----BEGIN PKCS7-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END PKCS7-----\s*$/.exec(pem);
  if (match?.[1] === undefined) {
    throw new Error(
      'The certificate chain must be a PKCS#7 in PEM, from "-----BEGIN PKCS7-----" to "-----END PKCS7-----", and nothing else.',
    );
  }
  const base64 = match[1].replace(/[\r\n]/g, '');
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64)
    throw new Error('The PEM of the PKCS#7 holds no well-formed base64.');
  return bytes;
}

function wholeOf(der: Buffer): unknown {
  const { offset, result } = fromBER(der);
  if (offset !== der.length) throw new Error('The PKCS#7 is not one complete DER value.');
  return result;
}

function sequence(value: unknown, sentence: string): readonly unknown[] {
  if (!(value instanceof Sequence)) throw new Error(sentence);
  return value.valueBlock.value;
}

function requireNoContent(value: unknown): void {
  const [type, ...rest] = sequence(value, 'The encapsulated content of the PKCS#7 must be a sequence.');
  if (!(type instanceof ObjectIdentifier) || type.getValue() !== DATA || rest.length > 0) {
    throw new Error('A certificates-only PKCS#7 has content of type data, and none of it.');
  }
}

const isEmptySet = (value: unknown): boolean =>
  value instanceof DerSet && value.valueBlock.value.length === 0;

function tagOf(value: unknown): number | undefined {
  return value instanceof Constructed && value.idBlock.tagClass === CONTEXT_CLASS
    ? value.idBlock.tagNumber
    : undefined;
}
