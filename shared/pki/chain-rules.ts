/**
 * What Gmail asks of a chain from any CA, and what makes any chain unusable. Errors are Google's page
 * (https://support.google.com/a/answer/7300887, "Google A.n" as in `rules.ts`) and RFC 5280; warnings are what the page
 * only recommends. Beside these, every certificate is held against the profile of ours that is nearest, and what it breaks
 * there are warnings too: another CA need not be made as we make ours.
 */
import type { Rule, RuleId } from './rules.ts';

export type Severity = 'error' | 'warning';

export interface ChainRule extends Rule {
  readonly severity: Severity;
  /** Rules of `rules.ts` that say no more where this one is broken. */
  readonly covers: readonly RuleId[];
}

export const CHAIN_RULES = {
  'chain-certificate-unreadable': {
    severity: 'error',
    sentence: 'Every certificate is DER as RFC 5280 describes it.',
    source: 'RFC 5280 §4.1',
    scope: 'rfc',
    fix: 'Export the certificate again from where it came from.',
    covers: ['strict-der'],
  },
  'chain-leaf-missing': {
    severity: 'error',
    sentence: 'The file has exactly one user certificate.',
    source: 'Google A.5',
    scope: 'google',
    fix: 'Add the user’s certificate, leaf first; give each user’s chain in a file of its own.',
    covers: [],
  },
  'chain-intermediate-missing': {
    severity: 'error',
    sentence: 'There is at least one intermediate CA between the user certificate and the root.',
    source: 'Google A.1',
    scope: 'google',
    fix: 'Add the issuing CA’s certificate (the caIssuers address in the user certificate has it); a root that issues users directly cannot be used with Gmail.',
    covers: ['issuer-may-sign'],
  },
  'chain-root-missing': {
    severity: 'error',
    sentence: 'The chain goes up to and including a self-signed root.',
    source: 'Google, https://support.google.com/a/answer/13069736',
    scope: 'google',
    fix: 'Add the missing issuer up to the root; the message names whose certificate is missing.',
    covers: [],
  },
  'chain-signature': {
    severity: 'error',
    sentence: 'Every certificate’s signature verifies with the key of the next one.',
    source: 'RFC 5280 §6.1.3',
    scope: 'rfc',
    fix: 'The issuer in the file is another one of the same name: export the chain again from the CA.',
    covers: [],
  },
  'chain-issuer-not-ca': {
    severity: 'error',
    sentence: 'Every issuer is a CA: basicConstraints critical with cA true, and keyCertSign.',
    source: 'Google A.3 and A.4; RFC 5280 §6.1.4',
    scope: 'google',
    fix: 'This certificate may not issue others: have the user certificate issued by a CA.',
    covers: ['issuer-may-sign', 'basic-constraints', 'key-usage', 'extension-criticality'],
  },
  'chain-path-length': {
    severity: 'error',
    sentence: 'No CA has more CAs below it than its path length allows.',
    source: 'RFC 5280 §6.1.4',
    scope: 'rfc',
    fix: 'Use an issuing CA that its own issuer allows.',
    covers: ['issuer-may-sign'],
  },
  'chain-expired': {
    severity: 'error',
    sentence: 'Every certificate is valid now.',
    source: 'RFC 5280 §6.1.3',
    scope: 'rfc',
    fix: 'Renew it; if it is not valid yet, check the clock.',
    covers: ['not-before-skew'],
  },
  'chain-extension-duplicate': {
    severity: 'error',
    sentence: 'No extension appears twice in a certificate.',
    source: 'RFC 5280 §4.2',
    scope: 'rfc',
    fix: 'Have it issued anew: readers differ in which of the two they believe.',
    covers: ['extension-duplicate'],
  },
  'chain-issuer-ends-soon': {
    severity: 'warning',
    sentence: 'Every CA lives for at least another half a year.',
    source: 'ours: its users’ certificates end with it',
    scope: 'ours',
    fix: 'Plan the next issuing CA now.',
    covers: [],
  },
  'chain-extra-certificate': {
    severity: 'warning',
    sentence: 'The file has no certificate that is not part of the chain.',
    source: 'ours',
    scope: 'ours',
    fix: 'Leave it out.',
    covers: [],
  },
  'chain-key-mismatch': {
    severity: 'error',
    sentence: 'The private key in the file belongs to the user certificate.',
    source: 'Google, cseKeyPairs.create (certificate and wrapped key must match)',
    scope: 'google',
    fix: 'Find the key that was made with this certificate’s request.',
    covers: [],
  },
  'chain-weak-key': {
    severity: 'error',
    sentence: 'No key has a fault that lets anybody compute its private half, and no two share a number.',
    source: 'SMBR 6.1.1.3',
    scope: 'smbr',
    fix: 'Make a new key with a current library or device and have it certified.',
    covers: ['key-weak'],
  },
  'gmail-version': {
    severity: 'error',
    sentence: 'CA and user certificates are version 3.',
    source: 'Google A.3 to A.5',
    scope: 'google',
    fix: 'Have it issued anew by a current CA.',
    covers: ['version-3'],
  },
  'gmail-serial': {
    severity: 'error',
    sentence: 'The serial is positive and at most 20 octets; a user’s has room for 64 random bits.',
    source: 'Google A.3 to A.5',
    scope: 'google',
    fix: 'Have it issued anew; serials that count upwards are not accepted.',
    covers: ['serial-positive', 'serial-shape'],
  },
  'gmail-signature-algorithm': {
    severity: 'error',
    sentence: 'CA and user certificates are signed with RSA or ECDSA and SHA-256, SHA-384 or SHA-512.',
    source: 'Google A.3 to A.5',
    scope: 'google',
    fix: 'Have it issued anew with SHA-256 or stronger; SHA-1 and MD5 can be forged.',
    covers: ['signature-algorithm', 'signature-fits-key'],
  },
  'gmail-key': {
    severity: 'error',
    sentence: 'The key is RSA with 2048, 3072 or 4096 bits, or EC on P-256 or P-384.',
    source: 'Google A.2 to A.5',
    scope: 'google',
    fix: 'Make a key of one of these kinds and have it certified.',
    covers: ['spki-algorithm', 'rsa-modulus', 'ec-curve'],
  },
  'gmail-issuer-dn': {
    severity: 'error',
    sentence: 'The issuer name is byte for byte the issuer’s subject, string types included.',
    source: 'Google A.2 to A.5',
    scope: 'google',
    fix: 'Have it issued by a CA that copies its own name; comparing names as text is not enough.',
    covers: ['issuer-dn', 'self-signed'],
  },
  'gmail-root-subject': {
    severity: 'error',
    sentence: 'The root’s name identifies the CA and is no generic term.',
    source: 'Google A.2',
    scope: 'google',
    fix: 'Use a root whose common name or organization says whose it is.',
    covers: ['subject-ca'],
  },
  'gmail-ca-validity': {
    severity: 'error',
    sentence: 'A CA that issues users is valid for at most twenty years.',
    source: 'Google A.4',
    scope: 'google',
    fix: 'Have a new issuing CA made for ten years or less.',
    covers: ['validity-cap'],
  },
  'gmail-ca-validity-advice': {
    severity: 'warning',
    sentence: 'A CA that issues users should be valid for at most ten years.',
    source: 'Google A.4',
    scope: 'google',
    fix: 'Make the next issuing CA for ten years or less.',
    covers: ['validity-cap'],
  },
  'gmail-ca-key-usage': {
    severity: 'error',
    sentence:
      'A CA’s key usage is critical and has keyCertSign; one that issues users may add only cRLSign and digitalSignature.',
    source: 'Google A.3 and A.4',
    scope: 'google',
    fix: 'Have the CA certificate issued anew.',
    covers: ['key-usage', 'extension-criticality'],
  },
  'gmail-ca-purpose': {
    severity: 'error',
    sentence:
      'A CA that issues users has an extended key usage with emailProtection and without serverAuth, codeSigning, timeStamping and anyExtendedKeyUsage.',
    source: 'Google A.4',
    scope: 'google',
    fix: 'Have an issuing CA made for S/MIME alone.',
    covers: ['extended-key-usage', 'extension-missing'],
  },
  'gmail-ca-path-length-advice': {
    severity: 'warning',
    sentence:
      'A CA that issues users should have path length 0, and one between it and the root a path length at all.',
    source: 'Google A.3 and A.4',
    scope: 'google',
    fix: 'Make the next CA with a path length that leaves room for the CAs below it and no more.',
    covers: ['basic-constraints'],
  },
  'gmail-ca-subject-advice': {
    severity: 'warning',
    sentence: 'The name of a CA that issues users should show that it is a CA.',
    source: 'Google A.4',
    scope: 'google',
    fix: 'Give the next issuing CA a common name such as "Acme S/MIME Issuing CA 1".',
    covers: ['subject-ca'],
  },
  'gmail-ca-policy-advice': {
    severity: 'warning',
    sentence: 'A CA that issues users should name its policy and not anyPolicy.',
    source: 'Google A.4',
    scope: 'google',
    fix: 'Make the next issuing CA with a policy of your own.',
    covers: ['policy-own', 'policy-any', 'extension-missing'],
  },
  'gmail-crl-point': {
    severity: 'error',
    sentence:
      'CA certificates below the root and user certificates have a CRL address that anybody can fetch over plain http.',
    source: 'Google A.3 to A.5',
    scope: 'google',
    fix: 'Have it issued with a public http:// CRL address; ldap, https and names inside your network do not count.',
    covers: ['crl-point', 'url-scheme', 'url-host', 'extension-missing'],
  },
  'gmail-access-url': {
    severity: 'error',
    sentence:
      'Addresses for issuers and OCSP, where there are any, are plain http on a public name and carry no parameters.',
    source: 'Google A.5',
    scope: 'google',
    fix: 'Have it issued with public http:// addresses.',
    covers: ['url-scheme', 'url-host', 'url-parameters'],
  },
  'gmail-extension-not-critical': {
    severity: 'error',
    sentence:
      'Policies, CRL addresses, access to issuer and OCSP, key identifiers and subjectAltName are not critical, a subjectAltName beside an empty subject aside.',
    source: 'Google A.3 to A.5; RFC 5280 §4.2.1 and §4.2.2.1',
    scope: 'google',
    fix: 'Have it issued with the extension not marked critical.',
    covers: ['extension-criticality'],
  },
  'gmail-critical-extension': {
    severity: 'error',
    sentence:
      'No other extension is critical: only key usage, extended key usage and basicConstraints may be, and in a CA those that constrain names and policies.',
    source: 'Google A.5; RFC 5280 §4.2; RFC 8550 §4.4',
    scope: 'google',
    fix: 'Have it issued without the extension, or with it not critical: readers refuse what they do not know.',
    covers: ['extension-unexpected', 'extension-criticality'],
  },
  'gmail-policy-qualifier': {
    severity: 'error',
    sentence: 'The practice statement that a policy names is an http or https link.',
    source: 'Google A.4 and A.5',
    scope: 'google',
    fix: 'Have it issued with such a link or without one.',
    covers: ['policy-qualifier'],
  },
  'gmail-extensions-agree': {
    severity: 'error',
    sentence:
      'A Netscape certificate type, where there is one, says exactly what basicConstraints and extended key usage say.',
    source: 'Google A.1',
    scope: 'google',
    fix: 'Have it issued without that extension, which nothing needs any more.',
    covers: [],
  },
  'gmail-leaf-validity': {
    severity: 'error',
    sentence: 'A user certificate is valid for at most 27 months.',
    source: 'Google A.5',
    scope: 'google',
    fix: 'Have it issued for two years or less.',
    covers: ['validity-cap'],
  },
  'gmail-leaf-key-usage': {
    severity: 'error',
    sentence:
      'A user’s key usage is critical and fits the key: RSA for signatures and keyEncipherment, EC for signatures and keyAgreement, and never for signing certificates.',
    source: 'Google A.5',
    scope: 'google',
    fix: 'Have it issued with digitalSignature, keyEncipherment (RSA) or keyAgreement (EC).',
    covers: ['key-usage', 'extension-criticality', 'extension-missing'],
  },
  'gmail-leaf-purpose': {
    severity: 'error',
    sentence:
      'A user’s extended key usage has emailProtection and none of serverAuth, codeSigning, timeStamping and anyExtendedKeyUsage.',
    source: 'Google A.5',
    scope: 'google',
    fix: 'Have it issued for S/MIME (emailProtection).',
    covers: ['extended-key-usage', 'extension-missing'],
  },
  'gmail-leaf-not-ca': {
    severity: 'error',
    sentence: 'A user certificate is no CA and has no path length.',
    source: 'Google A.5',
    scope: 'google',
    fix: 'Have it issued as an end-entity certificate.',
    covers: ['basic-constraints', 'extension-unexpected'],
  },
  'gmail-leaf-policy': {
    severity: 'error',
    sentence: 'A user certificate names at least one certificate policy, and not anyPolicy.',
    source: 'Google A.5',
    scope: 'google',
    fix: 'Have it issued with the CA’s policy.',
    covers: ['policy-own', 'policy-any', 'policy-in-issuer', 'extension-missing'],
  },
  'gmail-leaf-address': {
    severity: 'error',
    sentence:
      'A user certificate names its user’s address in the subjectAltName, and every address of the subject again.',
    source: 'Google A.5 and https://support.google.com/a/answer/13069736',
    scope: 'google',
    fix: 'Have it issued with the user’s primary Gmail address as rfc822Name.',
    covers: ['subject-address-in-san', 'san-address', 'extension-missing'],
  },
  'gmail-leaf-not-before': {
    severity: 'error',
    sentence:
      'A user certificate begins within 48 hours of its signing; when that was no certificate says, so this is broken for sure where it begins more than 48 hours from now.',
    source: 'Google A.5',
    scope: 'google',
    fix: 'Have it issued to begin now; if it should have begun, check the clock.',
    covers: ['not-before-skew'],
  },
  'gmail-leaf-names': {
    severity: 'error',
    sentence: 'The subjectAltName has no host name, IP address or URI.',
    source: 'Google A.5',
    scope: 'google',
    fix: 'Have it issued with addresses alone.',
    covers: ['san-types'],
  },
} as const satisfies Record<string, ChainRule>;

export type ChainRuleId = keyof typeof CHAIN_RULES;
