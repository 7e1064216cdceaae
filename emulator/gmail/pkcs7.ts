/** DER of what stands in every one; contents are in between. */
const SIGNED_DATA = Buffer.from('06092a864886f70d010702', 'hex');
const DATA = Buffer.from('06092a864886f70d010701', 'hex');
const VERSION_1 = Buffer.from('020101', 'hex');
const EMPTY_SET = Buffer.from('3100', 'hex');

const SEQUENCE = 0x30;
/** Constructed, context-specific. */
const TAGGED_0 = 0xa0;
const TAGGED_1 = 0xa1;

interface Element {
  readonly tag: number;
  /** Tag, length and contents. */
  readonly der: Buffer;
  readonly contents: Buffer;
}

/**
 * The certificates of a certs-only PKCS#7 in PEM, in the order of the file, each as the DER bytes that stand there.
 * Certs-only means SignedData (RFC 5652 section 5.1) of version 1 without content, signers or CRLs, as
 * `openssl crl2pkcs7 -nocrl` makes it. Throws an error with a plain sentence for anything else.
 */
export function readCertsOnlyPkcs7(pem: string): readonly Buffer[] {
  const [contentInfo, ...behind] = elementsIn(pemBody(pem));
  if (behind.length > 0) throw new Error(NOT_WHOLE);
  const [type, content] = sequence(contentInfo, 'The PKCS#7 must be a ContentInfo sequence.');
  if (!type?.der.equals(SIGNED_DATA)) throw new Error('The PKCS#7 must hold SignedData.');
  const [only, second] = content?.tag === TAGGED_0 ? elementsIn(content.contents) : [];
  if (only === undefined || second !== undefined) {
    throw new Error('The PKCS#7 must hold exactly one SignedData.');
  }
  const signedData = sequence(only, 'The SignedData of the PKCS#7 must be a sequence.');
  const [version, digestAlgorithms, encapsulated] = signedData;
  if (!version?.der.equals(VERSION_1)) {
    throw new Error('The SignedData of the PKCS#7 must have version 1.');
  }
  if (!digestAlgorithms?.der.equals(EMPTY_SET))
    throw new Error('A certificates-only PKCS#7 has no digest algorithms.');
  requireNoContent(encapsulated);
  const tagged = signedData.slice(3, -1);
  if (tagged.some(({ tag }) => tag === TAGGED_1)) throw new Error('The PKCS#7 must hold no CRLs.');
  const set = tagged.find(({ tag }) => tag === TAGGED_0);
  const certificates = set === undefined ? [] : elementsIn(set.contents);
  if (certificates.length === 0) throw new Error('The PKCS#7 holds no certificates.');
  if (tagged.length !== 1)
    throw new Error('The SignedData of the PKCS#7 has fields that do not belong there.');
  if (!signedData.at(-1)?.der.equals(EMPTY_SET)) {
    throw new Error('The PKCS#7 must hold certificates only, without signers.');
  }
  return certificates.map(({ tag, der }) => {
    if (tag !== SEQUENCE) throw new Error('The PKCS#7 holds something that is no X.509 certificate.');
    return Buffer.from(der);
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

const NOT_WHOLE = 'The PKCS#7 is not one complete DER value.';

/** Values one after the other. Their insides are not looked at: a library would read four whole certificates to find where each ends. */
function elementsIn(bytes: Buffer): readonly Element[] {
  const elements: Element[] = [];
  for (let start = 0; start < bytes.length; ) {
    const first = bytes[start + 1] ?? 0x80;
    const octets = first < 0x80 ? 0 : first & 0x7f;
    const contentsAt = start + 2 + octets;
    // An indefinite length is BER and not DER, and the longest upload has a length of three octets.
    if (first === 0x80 || octets > 3 || contentsAt > bytes.length) throw new Error(NOT_WHOLE);
    const end = contentsAt + (octets === 0 ? first : bytes.readUIntBE(start + 2, octets));
    if (end > bytes.length) throw new Error(NOT_WHOLE);
    elements.push({
      tag: bytes[start] ?? 0,
      der: bytes.subarray(start, end),
      contents: bytes.subarray(contentsAt, end),
    });
    start = end;
  }
  return elements;
}

function sequence(value: Element | undefined, sentence: string): readonly Element[] {
  if (value?.tag !== SEQUENCE) throw new Error(sentence);
  return elementsIn(value.contents);
}

function requireNoContent(value: Element | undefined): void {
  const [type, ...rest] = sequence(value, 'The encapsulated content of the PKCS#7 must be a sequence.');
  if (!type?.der.equals(DATA) || rest.length > 0) {
    throw new Error('A certificates-only PKCS#7 has content of type data, and none of it.');
  }
}
