/**
 * What the table of kinds and programs (`outside-tools-kinds.test.ts`) has shown in another file: the title of the test there, which
 * that test takes from here. `casesOf` tells whether a file has a test for each of its titles.
 */
const CASES = {
  'test/pki/outside-tools.test.ts': {
    'OpenSSL, PKCS#7': 'reads the PKCS#7 %s',
    'OpenSSL, PKCS#12': 'opens the %s PKCS#12 with its password',
    'GnuTLS, PKCS#7': 'reads the PKCS#7 %s',
    'GnuTLS, PKCS#7 that is cut': 'refuses a PKCS#7 that is cut',
    'GnuTLS, PKCS#12': 'opens the %s PKCS#12 with its password and with no other',
    'NSS, PKCS#7': 'reads the PKCS#7, and refuses one that is cut',
    'NSS, PKCS#12': 'imports the %s PKCS#12 with its password and with no other',
    'gpgsm, PKCS#7':
      'imports the PKCS#7, finds every certificate good, and refuses one whose signature was changed',
    'gpgsm, modern PKCS#12':
      'of version 2.2 cannot read AES in a PKCS#12 file, which is why there is a legacy form',
    'gpgsm, legacy PKCS#12': 'signs, encrypts and decrypts mail with the key of the legacy PKCS#12',
  },
  'test/pki/outside-tools-crl.test.ts': {
    'OpenSSL, CRL': 'takes the good certificate, and refuses the revoked one by our CRL',
    'OpenSSL, CRL of the root': 'refuses everybody’s certificate when the root’s CRL has the issuing CA',
    'GnuTLS, CRL': 'refuses the revoked one',
    'GnuTLS, CRL of the root': 'refuses all below a revoked CA',
    'NSS, CRL':
      'imports our CRL, takes the good certificate and refuses the revoked one, which it took before',
    'gpgsm, CRL': 'finds the good certificate good and the revoked one revoked',
  },
  'test/functions/ocsp.test.ts': {
    'OpenSSL, OCSP': 'openssl refuses an answer that was changed, and one for another CA',
    'GnuTLS, OCSP': 'GnuTLS ocsptool asks, verifies, takes the good and sees the revoked',
    'NSS, OCSP':
      'NSS ocspclnt, sent by the address in the certificate, takes the good and refuses the revoked',
    'gpgsm, OCSP':
      'dirmngr of GnuPG 2.2 fetches the answer and does not find a signer that is named by its key, so that it takes nobody',
  },
} as const;

type Cases = typeof CASES;
type CaseFile = keyof Cases;
export type CaseName = { [File in CaseFile]: keyof Cases[File] }[CaseFile];

/** Where a case is shown, and under which title. */
export function outsideCase(name: CaseName): { readonly file: string; readonly title: string } {
  for (const [file, titles] of Object.entries<Readonly<Partial<Record<CaseName, string>>>>(CASES)) {
    const title = titles[name];
    if (title !== undefined) return { file, title };
  }
  throw new Error(`There is no case ${name}.`);
}

/** For a file that shows some: `titled` gives a test its title, and `missing` names those that got none. */
export function casesOf<File extends CaseFile>(file: File) {
  const titles: Readonly<Record<string, string>> = CASES[file];
  const used = new Set<string>();
  return {
    titled: (name: keyof Cases[File] & string): string => {
      used.add(name);
      return titles[name] ?? '';
    },
    missing: (): readonly string[] => Object.keys(titles).filter((name) => !used.has(name)),
  };
}
