/**
 * The rules a certificate is linted against: what each demands, whose rule it is, and what to do when it is broken.
 * Profiles point at these rules row by row; `lint.ts` has one check for each.
 *
 * Sources: "Google" is https://support.google.com/a/answer/7300887, "SMBR" the CA/Browser Forum's S/MIME Baseline
 * Requirements (https://github.com/cabforum/smime), which a private CA takes as its yardstick; "ours" is a decision
 * of this product where the documents leave a choice.
 */
export type RuleScope = 'google' | 'rfc' | 'smbr' | 'ours';

export interface Rule {
  /** What must hold, as a sentence. */
  readonly sentence: string;
  readonly source: string;
  /** Whose rule it is first of all; what others merely advise is no reason to call a foreign chain wrong. */
  readonly scope: RuleScope;
  /** What to do when it does not. */
  readonly fix: string;
}

const bug =
  'The bytes were not made by this version of the product: draw a new serial and build the leaf again.';

export const RULES = {
  'strict-der': {
    sentence: 'The certificate is DER with nothing left over, and so is every extension we know.',
    source: 'RFC 5280 §4.1; X.690 §10',
    scope: 'rfc',
    fix: bug,
  },
  'version-3': { sentence: 'The version is 3.', source: 'Google A.5; SMBR 7.1.1', scope: 'google', fix: bug },
  'unique-ids-absent': {
    sentence: 'There are no issuer or subject unique identifiers.',
    source: 'RFC 5280 §4.1.2.8',
    scope: 'rfc',
    fix: bug,
  },
  'serial-positive': {
    sentence: 'The serial is positive and at most 20 octets, so below 2^159.',
    source: 'Google A.5; SMBR 7.1; RFC 5280 §4.1.2.2',
    scope: 'google',
    fix: 'Draw the serial with drawSerial.',
  },
  'serial-shape': {
    sentence: 'The serial is 18 octets, the first 01 to 7F, the others random.',
    source: 'SMBR 7.1 (at least 64 random bits); ours',
    scope: 'smbr',
    fix: 'Draw the serial with drawSerial.',
  },
  'signature-algorithm': {
    sentence:
      'The signature algorithm is one of the profile’s, encoded exactly as the document gives it, inside and outside.',
    source: 'Google A.5; SMBR 7.1.3.2',
    scope: 'google',
    fix: 'Sign with SHA-256 or stronger: RSA PKCS#1 v1.5, or ECDSA.',
  },
  'signature-fits-key': {
    sentence:
      'The signature algorithm is one for the issuer’s key: P-256 with SHA-256, P-384 with SHA-384, RSA with RSA.',
    source: 'SMBR 7.1.3.2.2',
    scope: 'smbr',
    fix: 'Sign with the algorithm of the issuer’s key.',
  },
  'issuer-dn': {
    sentence: 'The issuer name is byte for byte the subject of the issuer’s certificate.',
    source: 'Google A.5; SMBR 7.1.4.1',
    scope: 'google',
    fix: 'Copy the name from the issuer’s certificate; check that the intended issuer is the one configured.',
  },
  'issuer-may-sign': {
    sentence: 'The issuer is a CA whose key usage, extended key usage and path length let it sign this.',
    source: 'RFC 5280 §6.1.4; Google A.1 (the root must not issue leaves)',
    scope: 'rfc',
    fix: 'Issue leaves from the issuing CA and the issuing CA from the root.',
  },
  'validity-cap': {
    sentence:
      'The validity, counted in seconds with both ends included, is no longer than the profile allows.',
    source: 'Google A.5 (27 months, so 819 days at the least); SMBR 6.3.2',
    scope: 'google',
    fix: 'Ask for fewer days: at most 819 for a leaf.',
  },
  'validity-nested': {
    sentence: 'The certificate is valid only while its issuer is.',
    source: 'ours: a leaf never outlives its issuer',
    scope: 'ours',
    fix: 'Issue from a newer issuing CA, or for fewer days.',
  },
  'not-before-skew': {
    sentence: 'notBefore lies within 48 hours of the signing time, and notAfter after it.',
    source: 'Google A.5',
    scope: 'google',
    fix: 'The intent is stale: draw a new serial and build the leaf again. If it is fresh, check the clock.',
  },
  'time-encoding': {
    sentence: 'Times are UTCTime through 2049 and GeneralizedTime after.',
    source: 'RFC 5280 §4.1.2.5',
    scope: 'rfc',
    fix: bug,
  },
  'spki-algorithm': {
    sentence:
      'The public key is of a kind the profile allows: rsaEncryption with an explicit NULL, or a named curve with an uncompressed point on it.',
    source: 'SMBR 7.1.3.1; Google A.5',
    scope: 'smbr',
    fix: 'Use a key of the profile’s kind and its SubjectPublicKeyInfo as node:crypto exports it.',
  },
  'rsa-modulus': {
    sentence: 'The modulus is odd and has 2048, 3072 or 4096 bits.',
    source: 'Google A.5; SMBR 6.1.5',
    scope: 'google',
    fix: 'Make a key of 2048, 3072 or 4096 bits.',
  },
  'rsa-exponent': {
    sentence: 'The public exponent is 65537.',
    source: 'SMBR 6.1.6',
    scope: 'smbr',
    fix: 'Make a key with the usual exponent.',
  },
  'ec-curve': {
    sentence: 'An EC key is on P-256 or P-384, where the profile allows EC at all.',
    source: 'Google A.5; SMBR 6.1.5',
    scope: 'google',
    fix: 'Make a key on P-256 or P-384, or RSA for Gmail’s key service.',
  },
  'key-weak': {
    sentence: 'The key has none of the faults that let anybody compute its private half.',
    source: 'SMBR 6.1.1.3 (ROCA, close primes, small factors)',
    scope: 'smbr',
    fix: 'Make a new key with a current library or device.',
  },
  'key-not-issuers': {
    sentence: 'The certified key is not the issuer’s own.',
    source: 'ours: a CA key does one thing',
    scope: 'ours',
    fix: 'Certify the subject’s key, not the CA’s.',
  },
  'subject-ca': {
    sentence: 'The subject has exactly a country, an organization and a telling common name.',
    source: 'Google A.2; SMBR 7.1.4.3',
    scope: 'google',
    fix: 'Give a two-letter country, the organization’s name, and a common name that says which CA this is.',
  },
  'subject-mailbox': {
    sentence:
      'The subject holds one address and nothing else: a common name, or emailAddress where it is too long.',
    source: 'SMBR 7.1.4.2.3; Google A.5',
    scope: 'smbr',
    fix: 'Name the primary address only; names and units are not validated and do not belong there.',
  },
  'subject-sponsor': {
    sentence:
      'The subject has an organization, its organizationIdentifier, a given name, a surname and a common name, perhaps a country, and no organizational unit.',
    source: 'SMBR 7.1.4.2.5',
    scope: 'smbr',
    fix: 'Fill in the names in the directory, or use a profile whose subject says the address alone.',
  },
  'subject-length': {
    sentence:
      'A common name, an organization and the parts of a person’s name have at most 64 characters, emailAddress at most 255.',
    source: 'RFC 5280 appendix A.1',
    scope: 'rfc',
    fix: 'Leave a longer address out of the common name.',
  },
  'subject-address-in-san': {
    sentence: 'An address in the subject is the first one of the subjectAltName.',
    source: 'Google A.5; SMBR 7.1.4.2.2; ours: primary first',
    scope: 'google',
    fix: 'Give the primary address first.',
  },
  'self-signed': {
    sentence: 'A root’s issuer name is byte for byte its own subject.',
    source: 'Google A.2',
    scope: 'google',
    fix: bug,
  },
  'extension-missing': {
    sentence: 'Every extension of the profile is there.',
    source: 'Google A.3 to A.5; SMBR 7.1.2',
    scope: 'google',
    fix: bug,
  },
  'extension-unexpected': {
    sentence: 'There is no extension that the profile does not list, so none that is critical and unknown.',
    source: 'SMBR 7.1.2.4; RFC 5280 §4.2; RFC 8550 §4.4',
    scope: 'smbr',
    fix: 'Remove it, or give it a row in the profile with the document that allows it.',
  },
  'extension-duplicate': {
    sentence: 'No extension appears twice.',
    source: 'RFC 5280 §4.2',
    scope: 'rfc',
    fix: bug,
  },
  'extension-criticality': {
    sentence: 'Each extension is critical or not as the profile says.',
    source: 'Google A.3 to A.5; SMBR 7.1.2; RFC 5280 §4.2.1',
    scope: 'google',
    fix: bug,
  },
  'key-usage': {
    sentence: 'The key usage is exactly the profile’s.',
    source: 'Google A.3 to A.5; SMBR 7.1.2.3 e',
    scope: 'google',
    fix: 'Build with the profile that was meant.',
  },
  'extended-key-usage': {
    sentence:
      'The extended key usage is exactly the profile’s: for users and issuing CAs emailProtection and no other.',
    source: 'Google A.5; SMBR 7.1.2.3 f (strict)',
    scope: 'google',
    fix: 'Build with the profile that was meant.',
  },
  'basic-constraints': {
    sentence: 'basicConstraints says exactly what the profile says: CA and path length.',
    source: 'Google A.4; SMBR 7.1.2.1 and 7.1.2.2',
    scope: 'google',
    fix: 'Build with the profile that was meant.',
  },
  'policy-own': {
    sentence: 'At least one certificate policy is our own.',
    source: 'Google A.5; ours',
    scope: 'google',
    fix: 'Configure a policy OID under your private enterprise number.',
  },
  'policy-reserved': {
    sentence:
      'At most one policy of the CA/Browser Forum is there, strict or multipurpose, and it is for the kind of subject that is there.',
    source: 'SMBR 7.1.6.1',
    scope: 'smbr',
    fix: 'Configure 2.23.140.1.5.1.3 or .1.2 for addresses alone, 2.23.140.1.5.3.3 or .3.2 for persons, or none.',
  },
  'policy-any': {
    sentence: 'anyPolicy is not there.',
    source: 'Google A.4 and A.5; SMBR 7.1.6.4',
    scope: 'google',
    fix: 'Name the policy that applies.',
  },
  'policy-duplicate': {
    sentence: 'No policy is named twice.',
    source: 'RFC 5280 §4.2.1.4',
    scope: 'rfc',
    fix: 'Name each policy once.',
  },
  'policy-in-issuer': {
    sentence: 'The issuer’s certificate names every policy of the leaf.',
    source: 'RFC 5280 §6.1.3 d',
    scope: 'rfc',
    fix: 'Use the issuer’s policies, or make an issuing CA with the new policy.',
  },
  'policy-qualifier': {
    sentence: 'The only qualifier of a policy is a practice statement at an http or https address.',
    source: 'Google A.5; SMBR 7.1.2.3 a',
    scope: 'google',
    fix: 'Remove the qualifier.',
  },
  'crl-point': {
    sentence: 'A CRL distribution point is a plain list of URIs.',
    source: 'Google A.5; SMBR 7.1.2.3 b',
    scope: 'google',
    fix: bug,
  },
  'access-methods': {
    sentence:
      'The authority information access names caIssuers once or more, and besides that only OCSP, by URI.',
    source: 'SMBR 7.1.2.3 c; Google A.5',
    scope: 'smbr',
    fix: 'Give the address of the issuer’s certificate.',
  },
  'url-scheme': {
    sentence: 'Addresses of CRL, issuer and OCSP are plain http.',
    source: 'Google A.5; SMBR 7.1.2.3 b and c (strict)',
    scope: 'google',
    fix: 'Configure an address that begins with http:// and answers without redirecting to https.',
  },
  'url-host': {
    sentence: 'Addresses of CRL, issuer and OCSP are on a public name the customer owns.',
    source: 'Google A.5; ours: they are baked in for years',
    scope: 'google',
    fix: 'Configure a name of your own, such as http://pki.your-domain/, that points at the load balancer.',
  },
  'url-parameters': {
    sentence: 'Addresses of CRL, issuer and OCSP carry no user name, query or fragment.',
    source: 'Google A.5 (no per-certificate labels or parameters)',
    scope: 'google',
    fix: 'Use one plain path for all certificates of an issuer.',
  },
  'subject-key-identifier': {
    sentence: 'The subject key identifier is derived from the public key.',
    source: 'RFC 5280 §4.2.1.2; RFC 7093 §2; SMBR 7.1.2',
    scope: 'rfc',
    fix: bug,
  },
  'authority-key-identifier': {
    sentence: 'The authority key identifier is the issuer’s key identifier and nothing more.',
    source: 'SMBR 7.1.2.3 g',
    scope: 'smbr',
    fix: 'Check that the intended issuer is the one configured.',
  },
  'san-types': {
    sentence: 'The subjectAltName holds addresses (rfc822Name) and nothing else.',
    source: 'Google A.5; SMBR 7.1.2.3 h (strict)',
    scope: 'google',
    fix: 'Remove host names, IP addresses and URIs.',
  },
  'san-address': {
    sentence: 'Each address is ASCII with its domain in lower-case A-labels.',
    source: 'RFC 5280 §4.2.1.6; RFC 9598 §3',
    scope: 'rfc',
    fix: 'Correct the address in the directory; a non-ASCII local part cannot be certified.',
  },
  'san-duplicate': {
    sentence: 'No address appears twice.',
    source: 'ours',
    scope: 'ours',
    fix: 'Name each address once.',
  },
  'parsers-agree': {
    sentence: 'OpenSSL reads the same serial, dates, addresses and CA flag as our own reader.',
    source: 'ours: two parsers never share a mistake unseen',
    scope: 'ours',
    fix: 'Report this with the certificate: one of the two parsers is wrong.',
  },
} as const satisfies Record<string, Rule>;

export type RuleId = keyof typeof RULES;
