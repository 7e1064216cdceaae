/** Object identifiers of the Cryptographic Message Syntax and the algorithms S/MIME 3.2 and 4.0 use (RFC 5652, 5083, 5751, 8551). */
export const OID = {
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  envelopedData: '1.2.840.113549.1.7.3',
  authEnvelopedData: '1.2.840.113549.1.9.16.1.23',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingTime: '1.2.840.113549.1.9.5',
  smimeCapabilities: '1.2.840.113549.1.9.15',
  encryptionKeyPreference: '1.2.840.113549.1.9.16.2.11',
  sha256: '2.16.840.1.101.3.4.2.1',
  rsaEncryption: '1.2.840.113549.1.1.1',
  rsaesOaep: '1.2.840.113549.1.1.7',
  mgf1: '1.2.840.113549.1.1.8',
  rsassaPss: '1.2.840.113549.1.1.10',
} as const;

/** Digests that a signature may use, by OID; SHA-1 is not among them. */
export const DIGESTS: Readonly<Record<string, string>> = {
  [OID.sha256]: 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

/** Content ciphers that are written, by OpenSSL's spelling. */
export const WRITTEN_CIPHERS = {
  'aes-128-cbc': { oid: '2.16.840.1.101.3.4.1.2', keyBytes: 16, authenticated: false },
  'aes-256-cbc': { oid: '2.16.840.1.101.3.4.1.42', keyBytes: 32, authenticated: false },
  'aes-128-gcm': { oid: '2.16.840.1.101.3.4.1.6', keyBytes: 16, authenticated: true },
  'aes-256-gcm': { oid: '2.16.840.1.101.3.4.1.46', keyBytes: 32, authenticated: true },
} as const;

export type WrittenCipher = keyof typeof WRITTEN_CIPHERS;

/** Content ciphers of EnvelopedData that are read, by OID, in OpenSSL's spelling. */
export const CIPHERS: Readonly<Record<string, string>> = {
  '2.16.840.1.101.3.4.1.2': 'aes-128-cbc',
  '2.16.840.1.101.3.4.1.22': 'aes-192-cbc',
  '2.16.840.1.101.3.4.1.42': 'aes-256-cbc',
  '1.2.840.113549.3.7': 'des-ede3-cbc',
};

/** Content ciphers of AuthEnvelopedData that are read (RFC 5084), by OID. */
export const AUTHENTICATED_CIPHERS: Readonly<Record<string, 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm'>> =
  {
    '2.16.840.1.101.3.4.1.6': 'aes-128-gcm',
    '2.16.840.1.101.3.4.1.26': 'aes-192-gcm',
    '2.16.840.1.101.3.4.1.46': 'aes-256-gcm',
  };
