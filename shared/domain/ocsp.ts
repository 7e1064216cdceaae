/** The digest that names issuer and key in a CertID. Clients of RFC 9919 use SHA-256, older ones SHA-1. */
export type CertIdHash = 'sha1' | 'sha256';
