/**
 * The rules a certificate is linted against: what each demands, whose rule it is, and what to do when it is broken.
 * Profiles point at these rules row by row; `lint.ts` has one check for each.
 *
 * Sources: "Google" is https://support.google.com/a/answer/7300887, "SMBR" the CA/Browser Forum's S/MIME Baseline
 * Requirements (https://github.com/cabforum/smime), which a private CA takes as its yardstick; "ours" is a decision
 * of this product where the documents leave a choice.
 */
export interface Rule {
  /** What must hold, as a sentence. */
  readonly sentence: string;
  readonly source: string;
  /** What to do when it does not. */
  readonly fix: string;
}

const bug =
  'The bytes were not made by this version of the product: draw a new serial and build the leaf again.';

export const RULES = {
  'strict-der': {
    sentence: 'The certificate is DER with nothing left over, and so is every extension we know.',
    source: 'RFC 5280 §4.1; X.690 §10',
    fix: bug,
  },
  'version-3': { sentence: 'The version is 3.', source: 'Google A.5; SMBR 7.1.1', fix: bug },
  'unique-ids-absent': {
    sentence: 'There are no issuer or subject unique identifiers.',
    source: 'RFC 5280 §4.1.2.8',
    fix: bug,
  },
  'serial-positive': {
    sentence: 'The serial is positive and at most 20 octets, so below 2^159.',
    source: 'Google A.5; SMBR 7.1; RFC 5280 §4.1.2.2',
    fix: 'Draw the serial with drawSerial.',
  },
  'serial-shape': {
    sentence: 'The serial is 18 octets, the first 01 to 7F, the others random.',
    source: 'SMBR 7.1 (at least 64 random bits); ours',
    fix: 'Draw the serial with drawSerial.',
  },
  'signature-algorithm': {
    sentence:
      'The signature algorithm is one of the profile’s, encoded exactly as the document gives it, inside and outside.',
    source: 'Google A.5; SMBR 7.1.3.2',
    fix: 'Sign with RSA PKCS#1 v1.5 and SHA-256, SHA-384 or SHA-512.',
  },
  'issuer-dn': {
    sentence: 'The issuer name is byte for byte the subject of the issuer’s certificate.',
    source: 'Google A.5; SMBR 7.1.4.1',
    fix: 'Copy the name from the issuer’s certificate; check that the intended issuer is the one configured.',
  },
  'issuer-may-sign': {
    sentence: 'The issuer is a CA whose key usage, extended key usage and path length let it sign this.',
    source: 'RFC 5280 §6.1.4; Google A.1 (the root must not issue leaves)',
    fix: 'Issue leaves from the issuing CA and the issuing CA from the root.',
  },
  'validity-cap': {
    sentence:
      'The validity, counted in seconds with both ends included, is no longer than the profile allows.',
    source: 'Google A.5 (27 months, so 819 days at the least); SMBR 6.3.2',
    fix: 'Ask for fewer days: at most 819 for a leaf.',
  },
  'validity-nested': {
    sentence: 'The certificate is valid only while its issuer is.',
    source: 'ours: a leaf never outlives its issuer',
    fix: 'Issue from a newer issuing CA, or for fewer days.',
  },
  'not-before-skew': {
    sentence: 'notBefore lies within 48 hours of the signing time, and notAfter after it.',
    source: 'Google A.5',
    fix: 'The intent is stale: draw a new serial and build the leaf again. If it is fresh, check the clock.',
  },
  'time-encoding': {
    sentence: 'Times are UTCTime through 2049 and GeneralizedTime after.',
    source: 'RFC 5280 §4.1.2.5',
    fix: bug,
  },
  'spki-algorithm': {
    sentence: 'The public key says rsaEncryption with an explicit NULL.',
    source: 'SMBR 7.1.3.1.1; Google A.5',
    fix: 'Use an RSA key and its SubjectPublicKeyInfo as node:crypto exports it.',
  },
  'rsa-modulus': {
    sentence: 'The modulus is odd and has 2048, 3072 or 4096 bits.',
    source: 'Google A.5; SMBR 6.1.5',
    fix: 'Make a key of 2048, 3072 or 4096 bits.',
  },
  'rsa-exponent': {
    sentence: 'The public exponent is 65537.',
    source: 'SMBR 6.1.6',
    fix: 'Make a key with the usual exponent.',
  },
  'key-not-issuers': {
    sentence: 'The certified key is not the issuer’s own.',
    source: 'ours: a CA key does one thing',
    fix: 'Certify the subject’s key, not the CA’s.',
  },
  'subject-ca': {
    sentence: 'The subject has exactly a country, an organization and a telling common name.',
    source: 'Google A.2; SMBR 7.1.4.3',
    fix: 'Give a two-letter country, the organization’s name, and a common name that says which CA this is.',
  },
  'subject-mailbox': {
    sentence:
      'The subject holds one address and nothing else: a common name, or emailAddress where it is too long.',
    source: 'SMBR 7.1.4.2.3; Google A.5',
    fix: 'Name the primary address only; names and units are not validated and do not belong there.',
  },
  'subject-length': {
    sentence: 'A common name and an organization have at most 64 characters, emailAddress at most 255.',
    source: 'RFC 5280 appendix A.1',
    fix: 'Leave a longer address out of the common name.',
  },
  'subject-address-in-san': {
    sentence: 'The address in the subject is the first one of the subjectAltName.',
    source: 'Google A.5; SMBR 7.1.4.2.2; ours: primary first',
    fix: 'Give the primary address first.',
  },
  'self-signed': {
    sentence: 'A root’s issuer name is byte for byte its own subject.',
    source: 'Google A.2',
    fix: bug,
  },
  'extension-missing': {
    sentence: 'Every extension of the profile is there.',
    source: 'Google A.3 to A.5; SMBR 7.1.2',
    fix: bug,
  },
  'extension-unexpected': {
    sentence: 'There is no extension that the profile does not list, so none that is critical and unknown.',
    source: 'SMBR 7.1.2.4; RFC 5280 §4.2; RFC 8550 §4.4',
    fix: 'Remove it, or give it a row in the profile with the document that allows it.',
  },
  'extension-duplicate': {
    sentence: 'No extension appears twice.',
    source: 'RFC 5280 §4.2',
    fix: bug,
  },
  'extension-criticality': {
    sentence: 'Each extension is critical or not as the profile says.',
    source: 'Google A.3 to A.5; SMBR 7.1.2; RFC 5280 §4.2.1',
    fix: bug,
  },
  'key-usage': {
    sentence: 'The key usage is exactly the profile’s.',
    source: 'Google A.3 to A.5; SMBR 7.1.2.3 e',
    fix: 'Build with the profile that was meant.',
  },
  'extended-key-usage': {
    sentence: 'The extended key usage is exactly the profile’s: emailProtection, and never any other.',
    source: 'Google A.5; SMBR 7.1.2.3 f (strict)',
    fix: 'Build with the profile that was meant.',
  },
  'basic-constraints': {
    sentence: 'basicConstraints says exactly what the profile says: CA and path length.',
    source: 'Google A.4; SMBR 7.1.2.1 and 7.1.2.2',
    fix: 'Build with the profile that was meant.',
  },
  'policy-own': {
    sentence: 'At least one certificate policy is our own.',
    source: 'Google A.5; ours',
    fix: 'Configure a policy OID under your private enterprise number.',
  },
  'policy-reserved': {
    sentence:
      'At most one policy of the CA/Browser Forum is there, and only mailbox-validated strict or multipurpose.',
    source: 'SMBR 7.1.6.1',
    fix: 'Configure 2.23.140.1.5.1.3 or 2.23.140.1.5.1.2, or none.',
  },
  'policy-any': {
    sentence: 'anyPolicy is not there.',
    source: 'Google A.4 and A.5; SMBR 7.1.6.4',
    fix: 'Name the policy that applies.',
  },
  'policy-duplicate': {
    sentence: 'No policy is named twice.',
    source: 'RFC 5280 §4.2.1.4',
    fix: 'Name each policy once.',
  },
  'policy-in-issuer': {
    sentence: 'The issuer’s certificate names every policy of the leaf.',
    source: 'RFC 5280 §6.1.3 d',
    fix: 'Use the issuer’s policies, or make an issuing CA with the new policy.',
  },
  'policy-qualifier': {
    sentence: 'The only qualifier of a policy is a practice statement at an http or https address.',
    source: 'Google A.5; SMBR 7.1.2.3 a',
    fix: 'Remove the qualifier.',
  },
  'crl-point': {
    sentence: 'A CRL distribution point is a plain list of URIs.',
    source: 'Google A.5; SMBR 7.1.2.3 b',
    fix: bug,
  },
  'access-methods': {
    sentence:
      'The authority information access names caIssuers once or more, and besides that only OCSP, by URI.',
    source: 'SMBR 7.1.2.3 c; Google A.5',
    fix: 'Give the address of the issuer’s certificate.',
  },
  'url-scheme': {
    sentence: 'Addresses of CRL, issuer and OCSP are plain http.',
    source: 'Google A.5; SMBR 7.1.2.3 b and c (strict)',
    fix: 'Configure an address that begins with http:// and answers without redirecting to https.',
  },
  'url-host': {
    sentence: 'Addresses of CRL, issuer and OCSP are on a public name the customer owns.',
    source: 'Google A.5; ours: they are baked in for years',
    fix: 'Configure a name of your own, such as http://pki.your-domain/, that points at the load balancer.',
  },
  'url-parameters': {
    sentence: 'Addresses of CRL, issuer and OCSP carry no user name, query or fragment.',
    source: 'Google A.5 (no per-certificate labels or parameters)',
    fix: 'Use one plain path for all certificates of an issuer.',
  },
  'subject-key-identifier': {
    sentence: 'The subject key identifier is derived from the public key.',
    source: 'RFC 5280 §4.2.1.2; RFC 7093 §2; SMBR 7.1.2',
    fix: bug,
  },
  'authority-key-identifier': {
    sentence: 'The authority key identifier is the issuer’s key identifier and nothing more.',
    source: 'SMBR 7.1.2.3 g',
    fix: 'Check that the intended issuer is the one configured.',
  },
  'san-types': {
    sentence: 'The subjectAltName holds addresses (rfc822Name) and nothing else.',
    source: 'Google A.5; SMBR 7.1.2.3 h (strict)',
    fix: 'Remove host names, IP addresses and URIs.',
  },
  'san-address': {
    sentence: 'Each address is ASCII with its domain in lower-case A-labels.',
    source: 'RFC 5280 §4.2.1.6; RFC 9598 §3',
    fix: 'Correct the address in the directory; a non-ASCII local part cannot be certified.',
  },
  'san-duplicate': {
    sentence: 'No address appears twice.',
    source: 'ours',
    fix: 'Name each address once.',
  },
  'parsers-agree': {
    sentence: 'OpenSSL reads the same serial, dates, addresses and CA flag as our own reader.',
    source: 'ours: two parsers never share a mistake unseen',
    fix: 'Report this with the certificate: one of the two parsers is wrong.',
  },
} as const satisfies Record<string, Rule>;

export type RuleId = keyof typeof RULES;
