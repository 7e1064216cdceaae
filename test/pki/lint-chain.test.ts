import { beforeAll, describe, expect, it, test } from 'vitest';
import { readCertificate } from '../../shared/pki/certificate.ts';
import { CHAIN_RULES, type ChainRuleId } from '../../shared/pki/chain-rules.ts';
import {
  booleanTrue,
  contextConstructed,
  integer,
  integerFromHex,
  oid,
  sequence,
  setOfOne,
  time,
  utf8String,
} from '../../shared/pki/der.ts';
import { generateRsaKey } from '../../shared/pki/key.ts';
import { type ChainLintOptions, type ChainReport, lintChain } from '../../shared/pki/lint-chain.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { certsOnlyPkcs7, gmailPkcs7Pem } from '../../shared/pki/pkcs7.ts';
import { writePkcs12 } from '../../shared/pki/pkcs12.ts';
import { RULES } from '../../shared/pki/rules.ts';
import { signable } from '../../shared/pki/signable.ts';
import { signerFromPkcs8 } from '../../shared/pki/signer.ts';
import { assembleCertificate } from '../../shared/pki/tbs.ts';
import {
  type ForeignChain,
  foreignChain,
  ISSUING_EXTENSIONS,
  LEAF_EXTENSIONS,
  replaced,
} from './foreign-chain.ts';
import { type TbsParts, withExtension, withMoreExtension, withParts } from './mutate.ts';
import { openssl, opensslInstalled } from './openssl.ts';
import { DAY, NOW, type SampleAuthority, sampleAuthority } from './sample-authority.ts';
import { rocaModulus, rsaSpki } from './weak-moduli.ts';

let ca: SampleAuthority;
let leaf: Uint8Array;
beforeAll(async () => {
  ca = await sampleAuthority();
  leaf = await ca.leaf();
});

const chain = () => [leaf, ca.issuing.certificateDer, ca.root.certificateDer];
const pem = (...certificates: readonly Uint8Array[]) =>
  Buffer.from(certificates.map((der) => derToPem('CERTIFICATE', der)).join(''));

const all = (report: ChainReport) => [
  ...report.findings,
  ...report.certificates.flatMap(({ findings }) => findings),
];
const errors = (report: ChainReport) => [
  ...new Set(
    all(report)
      .filter(({ severity }) => severity === 'error')
      .map(({ rule }) => rule),
  ),
];
const lint = (input: Uint8Array, options: Partial<ChainLintOptions> = {}) =>
  lintChain(input, { now: NOW, ...options });

/** The chain rules that some test here shows to be broken. */
const shown: ChainRuleId[] = ['chain-issuer-ends-soon'];

describe('the chain linter, for a chain of ours', () => {
  it('finds nothing, and names each certificate’s place and profile', () => {
    const report = lint(pem(...chain()), {
      address: 'Ana@acme.example',
      ownIssuersDer: [ca.issuing.certificateDer, ca.root.certificateDer],
    });
    expect(all(report)).toEqual([]);
    expect(report.acceptable).toBe(true);
    expect(report.certificates.map(({ role, profile, subject }) => [role, profile, subject])).toEqual([
      ['leaf', 'dual-use-rsa/1', 'ana@acme.example'],
      ['issuing', 'issuing/1', 'Acme S/MIME Issuing CA 1'],
      ['root', 'root/1', 'Acme S/MIME Root 1'],
    ]);
  });

  const containers: readonly (readonly [string, () => Uint8Array, string, Partial<ChainLintOptions>])[] = [
    ['PEM', () => pem(...chain()), 'PEM', {}],
    ['PEM in any order', () => pem(...chain().toReversed()), 'PEM', {}],
    ['PKCS#7 as Gmail takes it', () => Buffer.from(gmailPkcs7Pem(leaf, chain().slice(1))), 'PKCS#7', {}],
    ['PKCS#7 in DER', () => certsOnlyPkcs7(chain()), 'PKCS#7', {}],
    [
      'PKCS#12',
      () =>
        writePkcs12({
          form: 'modern',
          leafDer: leaf,
          chainDer: chain().slice(1),
          pkcs8Der: ca.userKey.pkcs8Der,
          friendlyName: 'Ana',
          password: 'correct horse',
          random: ca.random,
        }).der,
      'PKCS#12',
      { password: 'correct horse' },
    ],
  ];

  test.each(containers)('reads %s', (_what, input, format, options) => {
    const report = lint(input(), options);
    expect(report.format).toBe(format);
    expect(report.certificates.map(({ role }) => role)).toEqual(['leaf', 'issuing', 'root']);
    expect(errors(report)).toEqual([]);
  });

  it('holds what our own issuer signed to our own profile, where another’s is only advised', async () => {
    // Signed by our key past our linter: a serial that Gmail takes and we never draw.
    const { tbsDer } = ca.unsignedLeaf();
    const odd = withParts(tbsDer, { serial: integerFromHex('7f'.repeat(9)) });
    const oddDer = assembleCertificate(odd, 'sha256WithRSA', await ca.issuingSigner.sign(signable(odd)));
    const input = pem(oddDer, ...chain().slice(1));
    expect(errors(lint(input))).toEqual([]);
    expect(errors(lint(input, { ownIssuersDer: [ca.issuing.certificateDer] }))).toEqual(['serial-shape']);
  });
});

describe('the chain linter, for a chain that cannot be used, says so in one sentence:', () => {
  const cases: readonly {
    readonly what: string;
    readonly input: () => Uint8Array;
    readonly rules: readonly ChainRuleId[];
    readonly options?: Partial<ChainLintOptions>;
  }[] = (
    [
      [
        'no intermediate',
        () => pem(leaf, ca.root.certificateDer),
        ['chain-root-missing', 'chain-intermediate-missing'],
      ],
      ['no root', () => pem(leaf, ca.issuing.certificateDer), ['chain-root-missing']],
      ['the leaf alone, in DER', () => leaf, ['chain-root-missing', 'chain-intermediate-missing']],
      ['no leaf', () => pem(ca.issuing.certificateDer, ca.root.certificateDer), ['chain-leaf-missing']],
      ['expired', () => pem(...chain()), ['chain-expired'], { now: new Date(NOW.getTime() + 366 * DAY) }],
      ['not valid yet', () => pem(...chain()), ['chain-expired'], { now: new Date(NOW.getTime() - DAY) }],
      [
        'not valid for another three days',
        () => pem(...chain()),
        ['chain-expired', 'gmail-leaf-not-before'],
        { now: new Date(NOW.getTime() - 3 * DAY) },
      ],
      ['another address', () => pem(...chain()), ['gmail-leaf-address'], { address: 'eve@acme.example' }],
      [
        'a private key of another certificate',
        () => Buffer.concat([pem(...chain()), Buffer.from(derToPem('PRIVATE KEY', ca.root.pkcs8Der))]),
        ['chain-key-mismatch'],
      ],
      [
        'a damaged signature',
        () =>
          pem(
            Uint8Array.from(leaf, (byte, at) => (at === leaf.length - 1 ? byte ^ 1 : byte)),
            ...chain().slice(1),
          ),
        ['chain-signature'],
      ],
      [
        'bytes that are no certificate in a PEM block',
        () => Buffer.concat([pem(...chain()), Buffer.from(derToPem('CERTIFICATE', Buffer.from('nonsense')))]),
        ['chain-certificate-unreadable'],
      ],
    ] as readonly (readonly [string, () => Uint8Array, readonly ChainRuleId[], Partial<ChainLintOptions>?])[]
  ).map(([what, input, rules, options = {}]) => ({ what, input, rules, options }));

  shown.push(...cases.flatMap(({ rules }) => rules));

  test.each(cases)('$what', ({ input, rules, options }) => {
    const report = lint(input(), options);
    expect(errors(report).toSorted()).toEqual(rules.toSorted());
    expect(report.acceptable).toBe(false);
    for (const finding of all(report).filter(({ severity }) => severity === 'error')) {
      expect(finding.sentence).toMatch(/\.$/);
      expect(finding.fix).not.toBe('');
      expect(finding.found).not.toBe('');
    }
  });

  it('names whose certificate is missing', () => {
    const [finding] = lint(pem(leaf, ca.root.certificateDer)).findings;
    expect(finding?.found).toContain('"Acme S/MIME Issuing CA 1"');
  });

  it('two users in one file', async () => {
    const other = await ca.leaf({ addresses: ['eve@acme.example'] });
    expect(errors(lint(pem(...chain(), other)))).toEqual(['chain-leaf-missing']);
  });
});

describe('the chain linter, for an issuing CA that is imported,', () => {
  const cas = () => [ca.issuing.certificateDer, ca.root.certificateDer];

  it('wants no user', () => {
    const report = lint(pem(...cas()), { expects: 'issuing' });
    expect(errors(report)).toEqual([]);
    expect(report.certificates.map(({ role }) => role)).toEqual(['issuing', 'root']);
  });

  it('takes the key of the CA that is imported', () => {
    const input = Buffer.concat([pem(...cas()), Buffer.from(derToPem('PRIVATE KEY', ca.issuing.pkcs8Der))]);
    expect(errors(lint(input, { expects: 'issuing' }))).toEqual([]);
  });

  it('refuses a root, which must not issue users', () => {
    expect(errors(lint(pem(ca.root.certificateDer), { expects: 'issuing' }))).toEqual([
      'chain-intermediate-missing',
    ]);
  });

  it('refuses a user’s certificate', () => {
    expect(errors(lint(pem(leaf), { expects: 'issuing' }))).toContain('chain-issuer-not-ca');
  });

  it('warns half a year before the CA ends', () => {
    const report = lint(pem(...cas()), {
      expects: 'issuing',
      now: new Date(NOW.getTime() + (3652 - 180) * DAY),
    });
    expect(report.acceptable).toBe(true);
    expect(all(report).map(({ rule }) => rule)).toContain('chain-issuer-ends-soon');
  });
});

describe('the chain linter, for a file that cannot be opened,', () => {
  const closed = () =>
    writePkcs12({
      form: 'modern',
      leafDer: leaf,
      chainDer: [],
      pkcs8Der: ca.userKey.pkcs8Der,
      friendlyName: 'Ana',
      password: 'correct horse',
      random: ca.random,
    }).der;

  test.each([
    ['PKCS#12 without a password', closed, undefined, 'password-missing'],
    ['PKCS#12 with a wrong password', closed, 'battery staple', 'wrong-password'],
    ['text', () => Buffer.from('hello'), undefined, 'malformed'],
    ['nothing', () => new Uint8Array(), undefined, 'empty'],
    ['a PKCS#7 without certificates', () => certsOnlyPkcs7([]), undefined, 'empty'],
    [
      'a PEM block that is cut',
      () => Buffer.from('-----BEGIN CERTIFICATE-----\nAAAA\n'),
      undefined,
      'malformed',
    ],
    ['five megabytes', () => new Uint8Array(5 * 2 ** 20), undefined, 'too-large'],
  ] as const)('throws a sentence: %s', (_what, input, password, problem) => {
    expect(() => lint(input(), password === undefined ? {} : { password })).toThrow(
      expect.objectContaining({ code: 'malformed-request', kind: 'invalid-input', details: { problem } }),
    );
  });
});

describe.skipIf(!opensslInstalled)('the chain linter, for a chain of another CA,', () => {
  const now = new Date(Date.now() + 60_000);
  const input = ({ leaf: leafDer, issuing, root }: ForeignChain) => pem(leafDer, issuing, root);
  const foreign = (options: Parameters<typeof foreignChain>[0] = {}) =>
    lint(input(foreignChain(options)), { now });
  const leafWith = (name: string, line?: string) => ({
    leafExtensions: replaced(LEAF_EXTENSIONS, name, line),
  });
  const issuingWith = (name: string, line?: string) => ({
    issuingExtensions: replaced(ISSUING_EXTENSIONS, name, line),
  });

  it('accepts what Google’s page allows, and gives our own stricter rules as warnings only', () => {
    const report = foreign();
    expect(errors(report)).toEqual([]);
    expect(report.acceptable).toBe(true);
    const warnings = all(report).map(({ rule }) => rule);
    expect(warnings).toContain('serial-shape');
    expect(warnings).toContain('subject-mailbox');
  });

  const refused: readonly (readonly [string, Parameters<typeof foreignChain>[0], readonly ChainRuleId[]])[] =
    [
      [
        'RSA-1024',
        { leafKey: ['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'] },
        ['gmail-key'],
      ],
      [
        'RSA-8192 exponents aside, P-521',
        {
          leafKey: ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521'],
          ...leafWith('keyUsage', 'keyUsage = critical, digitalSignature'),
        },
        ['gmail-key'],
      ],
      ['SHA-1', { leafHash: 'sha1' }, ['gmail-signature-algorithm']],
      ['three years', { leafDays: 1096 }, ['gmail-leaf-validity']],
      ['no address', leafWith('subjectAltName'), ['gmail-leaf-address']],
      [
        'an address in the subject alone',
        { leafSubject: '/CN=Eve/emailAddress=eve@other.example' },
        ['gmail-leaf-address'],
      ],
      [
        'a host name beside the address',
        leafWith('subjectAltName', 'subjectAltName = email:bob@other.example, DNS:other.example'),
        ['gmail-leaf-names'],
      ],
      ['no policy', leafWith('certificatePolicies'), ['gmail-leaf-policy']],
      [
        'anyPolicy',
        leafWith('certificatePolicies', 'certificatePolicies = 2.5.29.32.0'),
        ['gmail-leaf-policy'],
      ],
      ['no CRL address', leafWith('crlDistributionPoints'), ['gmail-crl-point']],
      [
        'a CRL on ldap',
        leafWith('crlDistributionPoints', 'crlDistributionPoints = URI:ldap://crl.other.example/cn=crl'),
        ['gmail-crl-point'],
      ],
      [
        'a CRL inside the network',
        leafWith('crlDistributionPoints', 'crlDistributionPoints = URI:http://pki.corp.local/crl'),
        ['gmail-crl-point'],
      ],
      [
        'an OCSP address on https',
        leafWith('authorityInfoAccess', 'authorityInfoAccess = OCSP;URI:https://ocsp.other.example/'),
        ['gmail-access-url'],
      ],
      ['no extended key usage', leafWith('extendedKeyUsage'), ['gmail-leaf-purpose']],
      [
        'serverAuth',
        leafWith('extendedKeyUsage', 'extendedKeyUsage = emailProtection, serverAuth'),
        ['gmail-leaf-purpose'],
      ],
      [
        'an uncritical key usage',
        leafWith('keyUsage', 'keyUsage = digitalSignature'),
        ['gmail-leaf-key-usage'],
      ],
      [
        'keyAgreement with RSA',
        leafWith('keyUsage', 'keyUsage = critical, digitalSignature, keyAgreement'),
        ['gmail-leaf-key-usage'],
      ],
      [
        'an issuer that is no CA',
        issuingWith('basicConstraints', 'basicConstraints = critical, CA:FALSE'),
        ['chain-issuer-not-ca'],
      ],
      [
        'an issuer without keyCertSign',
        issuingWith('keyUsage', 'keyUsage = critical, cRLSign'),
        ['chain-issuer-not-ca', 'gmail-ca-key-usage'],
      ],
      ['an issuer for everything', issuingWith('extendedKeyUsage'), ['gmail-ca-purpose']],
      ['an issuer without a CRL address', issuingWith('crlDistributionPoints'), ['gmail-crl-point']],
      [
        'a critical policy',
        leafWith('certificatePolicies', 'certificatePolicies = critical, 1.3.6.1.4.1.32473.2.1'),
        ['gmail-extension-not-critical'],
      ],
      [
        'a critical CRL address',
        leafWith(
          'crlDistributionPoints',
          'crlDistributionPoints = critical, URI:http://crl.other.example/users.crl',
        ),
        ['gmail-extension-not-critical'],
      ],
      [
        'a critical address of the issuer',
        leafWith(
          'authorityInfoAccess',
          'authorityInfoAccess = critical, caIssuers;URI:http://crl.other.example/users.crt',
        ),
        ['gmail-extension-not-critical'],
      ],
      [
        'a critical subjectAltName beside a subject',
        leafWith('subjectAltName', 'subjectAltName = critical, email:bob@other.example'),
        ['gmail-extension-not-critical'],
      ],
      [
        'an issuer with a critical policy',
        issuingWith('certificatePolicies', 'certificatePolicies = critical, 1.3.6.1.4.1.32473.2.1'),
        ['gmail-extension-not-critical'],
      ],
      [
        'a critical extension that nobody knows',
        { leafExtensions: [...LEAF_EXTENSIONS, '1.3.6.1.4.1.32473.9 = critical, DER:0500'] },
        ['gmail-critical-extension'],
      ],
      [
        'constraints on names in a user certificate',
        { leafExtensions: [...LEAF_EXTENSIONS, 'nameConstraints = critical, permitted;email:other.example'] },
        ['gmail-critical-extension'],
      ],
      [
        'an issuer with a critical extension that nobody knows',
        { issuingExtensions: [...ISSUING_EXTENSIONS, '1.3.6.1.4.1.32473.9 = critical, DER:0500'] },
        ['gmail-critical-extension'],
      ],
      [
        'a practice statement that is no link',
        {
          leafExtensions: [
            ...replaced(LEAF_EXTENSIONS, 'certificatePolicies', 'certificatePolicies = @policy'),
            '[policy]',
            'policyIdentifier = 1.3.6.1.4.1.32473.2.1',
            'CPS.1 = ldap://other.example/cps',
          ],
        },
        ['gmail-policy-qualifier'],
      ],
      [
        'a Netscape type for servers',
        { leafExtensions: [...LEAF_EXTENSIONS, 'nsCertType = server, email, client'] },
        ['gmail-extensions-agree'],
      ],
      [
        'a Netscape type without S/MIME',
        { leafExtensions: [...LEAF_EXTENSIONS, 'nsCertType = client'] },
        ['gmail-extensions-agree'],
      ],
      [
        'a Netscape type of a CA in a user certificate',
        { leafExtensions: [...LEAF_EXTENSIONS, 'nsCertType = email, client, emailCA'] },
        ['gmail-extensions-agree'],
      ],
      [
        'an issuer with a Netscape type of a user',
        { issuingExtensions: [...ISSUING_EXTENSIONS, 'nsCertType = email, client'] },
        ['gmail-extensions-agree'],
      ],
      [
        'a Netscape type that is rubbish',
        { leafExtensions: [...LEAF_EXTENSIONS, '2.16.840.1.113730.1.1 = DER:0500'] },
        ['gmail-extensions-agree'],
      ],
      [
        'a key for nothing but dataEncipherment',
        leafWith('keyUsage', 'keyUsage = critical, dataEncipherment'),
        ['gmail-leaf-key-usage'],
      ],
    ];

  shown.push(...refused.flatMap(([, , rules]) => rules));

  test.each(refused)('refuses %s', (_what, options, rules) => {
    const report = foreign(options);
    expect(errors(report).toSorted()).toEqual(rules.toSorted());
  });

  const taken: readonly (readonly [string, Parameters<typeof foreignChain>[0]])[] = [
    [
      'a Netscape type that agrees, and extensions that are unknown and not critical',
      {
        leafExtensions: [...LEAF_EXTENSIONS, 'nsCertType = email, client', '1.3.6.1.4.1.32473.9 = DER:0500'],
        issuingExtensions: [...ISSUING_EXTENSIONS, 'nsCertType = emailCA, sslCA'],
      },
    ],
    [
      'constraints on names in its issuer',
      {
        issuingExtensions: [
          ...ISSUING_EXTENSIONS,
          'nameConstraints = critical, permitted;email:other.example',
        ],
      },
    ],
    [
      'a practice statement on https',
      {
        leafExtensions: [
          ...replaced(LEAF_EXTENSIONS, 'certificatePolicies', 'certificatePolicies = @policy'),
          '[policy]',
          'policyIdentifier = 1.3.6.1.4.1.32473.2.1',
          'CPS.1 = https://other.example/cps',
        ],
      },
    ],
    [
      'a critical subjectAltName beside an empty subject',
      {
        leafSubject: '/',
        leafExtensions: replaced(
          LEAF_EXTENSIONS,
          'subjectAltName',
          'subjectAltName = critical, email:bob@other.example',
        ),
      },
    ],
    [
      'an encrypting key that may encipher data too',
      leafWith('keyUsage', 'keyUsage = critical, keyEncipherment, dataEncipherment'),
    ],
  ];

  test.each(taken)('accepts %s', (_what, options) => {
    expect(errors(foreign(options))).toEqual([]);
  });

  it('says less where our own rule says the same again', () => {
    const rules = all(foreign({ leafDays: 1096 })).map(({ rule }) => rule);
    expect(rules).not.toContain('validity-cap');
  });

  it('reads a BER PKCS#7 that was streamed', () => {
    const { leaf: leafDer, issuing, root } = foreignChain();
    const { output } = openssl(['crl2pkcs7', '-nocrl', '-outform', 'DER', '-certfile', 'a.pem'], {
      'a.pem': pem(leafDer, issuing, root),
    });
    expect(errors(lint(output, { now }))).toEqual([]);
  });

  it('reads a PKCS#12 that OpenSSL made, in both forms', () => {
    const { leaf: leafDer, issuing, root, leafKey } = foreignChain();
    for (const form of [[], ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1']]) {
      const { output } = openssl(
        [
          ...['pkcs12', '-export', '-in', 'leaf.pem', '-inkey', 'leaf.key', '-certfile', 'cas.pem'],
          ...form,
          '-passout',
          'pass:secret word',
        ],
        { 'leaf.pem': pem(leafDer), 'leaf.key': leafKey, 'cas.pem': pem(issuing, root) },
      );
      expect(errors(lint(output, { now, password: 'secret word' }))).toEqual([]);
    }
  });
});

describe('the chain linter, for one thing changed in a chain of ours and signed again,', () => {
  interface Changed {
    readonly leaf?: (tbsDer: Uint8Array) => Uint8Array;
    readonly issuing?: (tbsDer: Uint8Array) => Uint8Array;
    readonly root?: (tbsDer: Uint8Array) => Uint8Array;
  }

  /** Leaf first; each as our linter would never let it out. */
  async function signedAgain(changed: Changed): Promise<readonly Uint8Array[]> {
    const same = (tbsDer: Uint8Array) => tbsDer;
    const tbsOf = (der: Uint8Array) => readCertificate(der).tbsDer;
    const one = (changed.leaf ?? same)(tbsOf(leaf));
    const two = (changed.issuing ?? same)(tbsOf(ca.issuing.certificateDer));
    const three = (changed.root ?? same)(tbsOf(ca.root.certificateDer));
    return [
      assembleCertificate(one, 'sha256WithRSA', await ca.issuingSigner.sign(signable(one))),
      assembleCertificate(two, 'sha384WithRSA', await ca.rootSigner.sign(signable(two))),
      assembleCertificate(three, 'sha384WithRSA', await ca.rootSigner.sign(signable(three))),
    ];
  }

  const parts = (changes: Partial<TbsParts>) => (tbsDer: Uint8Array) => withParts(tbsDer, changes);
  const named = (commonName: string) => sequence(setOfOne(sequence(oid('2.5.4.3'), utf8String(commonName))));
  const constraints =
    (...contents: readonly Uint8Array[]) =>
    (tbsDer: Uint8Array) =>
      withExtension(tbsDer, 'basicConstraints', sequence(...contents), true);
  const years = (count: number) => time(new Date(Date.UTC(2026 + count, 10, 22)));
  /** The same name in UTF8String where it was PrintableString: equal as text, not as bytes. */
  const otherEncoding = (nameDer: Uint8Array) =>
    Uint8Array.from(nameDer, (octet, at) => (octet === 0x0c && nameDer[at - 1] === 3 ? 0x13 : octet));

  const changes: readonly (readonly [string, Changed, readonly ChainRuleId[]])[] = [
    [
      'a root that allows no CA below it',
      { root: constraints(booleanTrue(), integer(0)) },
      ['chain-path-length'],
    ],
    ['a modulus of a faulty chip', { leaf: parts({ spki: rsaSpki(rocaModulus()) }) }, ['chain-weak-key']],
    [
      'an issuing CA of version 2',
      { issuing: parts({ version: [contextConstructed(0, integer(1))] }) },
      ['gmail-version'],
    ],
    ['a serial that counts upwards', { leaf: parts({ serial: integer(4711) }) }, ['gmail-serial']],
    ['an issuing CA with serial 0', { issuing: parts({ serial: integer(0) }) }, ['gmail-serial']],
    ['a serial of 21 octets', { leaf: parts({ serial: integerFromHex('7f'.repeat(21)) }) }, ['gmail-serial']],
    [
      'the issuer’s name in another string type',
      { leaf: (tbsDer) => withParts(tbsDer, { issuer: otherEncoding(readCertificate(leaf).issuerDer) }) },
      ['gmail-issuer-dn'],
    ],
    [
      'a root that is called "Root CA"',
      {
        root: parts({ subject: named('Root CA'), issuer: named('Root CA') }),
        issuing: parts({ issuer: named('Root CA') }),
      },
      ['gmail-root-subject'],
    ],
    ['an issuing CA for 21 years', { issuing: parts({ notAfter: years(21) }) }, ['gmail-ca-validity']],
    ['an issuing CA for 15 years', { issuing: parts({ notAfter: years(15) }) }, ['gmail-ca-validity-advice']],
    [
      'an issuing CA that may have CAs below it',
      { issuing: constraints(booleanTrue()) },
      ['gmail-ca-path-length-advice'],
    ],
    [
      'an issuing CA whose name could be anybody’s',
      {
        issuing: parts({ subject: named('Acme Mail') }),
        leaf: parts({ issuer: named('Acme Mail') }),
      },
      ['gmail-ca-subject-advice'],
    ],
    [
      'an extension that is there twice',
      {
        leaf: (tbsDer) => withMoreExtension(tbsDer, '2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.4'))),
      },
      ['chain-extension-duplicate'],
    ],
    [
      'an issuing CA without a policy',
      { issuing: (tbsDer) => withExtension(tbsDer, 'certificatePolicies', undefined) },
      ['gmail-ca-policy-advice'],
    ],
    [
      'an issuing CA for anyPolicy',
      {
        issuing: (tbsDer) =>
          withExtension(tbsDer, 'certificatePolicies', sequence(sequence(oid('2.5.29.32.0')))),
      },
      ['gmail-ca-policy-advice'],
    ],
    [
      'a user with a path length',
      { leaf: (tbsDer) => withMoreExtension(tbsDer, '2.5.29.19', true, sequence(integer(0))) },
      ['gmail-leaf-not-ca'],
    ],
  ];
  shown.push(...changes.flatMap(([, , rules]) => rules), 'chain-extra-certificate');

  const chainRules = (report: ChainReport) =>
    all(report).flatMap(({ rule }) => (rule in CHAIN_RULES ? [rule as ChainRuleId] : []));

  it('finds nothing where nothing was changed', async () => {
    expect(all(lint(pem(...(await signedAgain({})))))).toEqual([]);
  });

  test.each(changes)('names the rule: %s', async (_what, changed, rules) => {
    const report = lint(pem(...(await signedAgain(changed))));
    expect(chainRules(report)).toEqual(rules);
    expect(report.acceptable).toBe(rules.every((rule) => CHAIN_RULES[rule].severity === 'warning'));
  });

  it('names the rule: a CA above the issuing one that says nothing of a path length', async () => {
    const above = await generateRsaKey(2048);
    const tbsOf = (der: Uint8Array) => readCertificate(der).tbsDer;
    const between = parts({ subject: named('Acme Policy CA'), spki: above.spkiDer });
    const certificate = async (pathLength: readonly Uint8Array[]) => {
      const tbs = constraints(booleanTrue(), ...pathLength)(between(tbsOf(ca.issuing.certificateDer)));
      return assembleCertificate(tbs, 'sha384WithRSA', await ca.rootSigner.sign(signable(tbs)));
    };
    const lower = parts({ issuer: named('Acme Policy CA') })(tbsOf(ca.issuing.certificateDer));
    const signer = signerFromPkcs8(above.pkcs8Der, { algorithm: 'sha384WithRSA' });
    const issuing = assembleCertificate(lower, 'sha384WithRSA', await signer.sign(signable(lower)));
    const rules = async (pathLength: readonly Uint8Array[]) =>
      chainRules(lint(pem(leaf, issuing, await certificate(pathLength), ca.root.certificateDer)));
    expect(await rules([])).toEqual(['gmail-ca-path-length-advice']);
    expect(await rules([integer(1)])).toEqual([]);
    expect(await rules([integer(0)])).toEqual(['chain-path-length']);
  });

  it('names the rule: a CA that nobody in the chain was issued by', async () => {
    const stranger = parts({ subject: named('Acme Old Root'), issuer: named('Acme Old Root') });
    const [, , other = expect.unreachable()] = await signedAgain({ root: stranger });
    const report = lint(pem(...chain(), other));
    expect(chainRules(report)).toEqual(['chain-extra-certificate']);
    expect(report.findings[0]?.found).toContain('Acme Old Root');
    expect(report.acceptable).toBe(true);
  });
});

describe('each chain rule', () => {
  it('is shown to be broken by one of the tables above', () => {
    expect(Object.keys(CHAIN_RULES).filter((rule) => !shown.includes(rule as ChainRuleId))).toEqual([]);
  });

  test.each(Object.entries(CHAIN_RULES))('%s is a sentence with a source and a remedy', (_id, rule) => {
    expect(rule.sentence).toMatch(/^[A-Z].*\.$/s);
    expect(rule.source).not.toBe('');
    expect(rule.fix).toMatch(/^[A-Z].*\.$/s);
    for (const covered of rule.covers) expect(Object.keys(RULES)).toContain(covered);
  });

  it('of Google’s or RFC 5280’s is an error unless the page only recommends it', () => {
    const warnings = Object.entries(CHAIN_RULES).filter(([, { severity }]) => severity === 'warning');
    for (const [id, { scope, sentence }] of warnings) {
      expect([id, scope === 'ours' || sentence.includes('should')]).toEqual([id, true]);
    }
  });
});
