/** `docs/lint.md` out of the rules themselves; `vitest run test/pki/lint-page.test.ts -u` writes it anew. */
import { CHAIN_RULES, type ChainRule } from '../../shared/pki/chain-rules.ts';
import { CRL_RULES } from '../../shared/pki/lint-crl.ts';
import { OCSP_RULES } from '../../shared/pki/lint-ocsp.ts';
import { type CertificateProfile, PROFILES } from '../../shared/pki/profile.ts';
import { RULES, type Rule } from '../../shared/pki/rules.ts';

const INTRODUCTION = `# What the linter checks

Every certificate, CRL and OCSP answer is linted before it is signed, and every chain can be: \`sealwright lint FILE\` takes PEM, DER,
PKCS#7 and PKCS#12 from any CA. A finding has the id below, what was found, and what to do.

There are four sets of rules:

- [Chains](#chains): what Gmail asks of a chain from any CA, and what makes any chain unusable. An **error** means that Gmail
  refuses the chain or should; a *warning* is advice.
- [Our own certificates](#our-own-certificates): what we hold ourselves to, which is stricter. For a certificate of our own
  issuer a finding here is an error and nothing is signed; for another CA's it is a warning.
- [Our own CRLs](#our-own-crls) and [our own OCSP answers](#our-own-ocsp-answers): the same for these.

Sources: "Google A.n" is a table of https://support.google.com/a/answer/7300887 (A.1 general, A.2 root, A.3 intermediate, A.4
issuing intermediate, A.5 end entity); "SMBR" is the S/MIME Baseline Requirements of the CA/Browser Forum
(https://github.com/cabforum/smime), which do not bind a private CA and are a good yardstick; "ours" is a decision of this
product where the documents leave a choice.

Not looked for are the RSA keys that Debian's OpenSSL made from 2006 to 2008 (CVE-2008-0166), which SMBR 6.1.1.3 names too:
[why](security.md#keys-of-other-mail-clients).

This page is written by \`vitest run test/pki/lint-page.test.ts -u\` from \`shared/pki/chain-rules.ts\`, \`rules.ts\`,
\`lint-crl.ts\`, \`lint-ocsp.ts\` and \`profile.ts\`; a test compares it with them.
`;

const cell = (text: string) => text.replaceAll('|', '\\|');

const table = (heads: readonly string[], rows: readonly (readonly string[])[]) =>
  [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.map(cell).join(' | ')} |`).join('\n');

const ruleTable = (rules: Readonly<Record<string, Rule>>) =>
  table(
    ['Rule', 'What must hold', 'Source', 'What to do'],
    Object.entries(rules).map(([id, { sentence, source, fix }]) => [`\`${id}\``, sentence, source, fix]),
  );

const chainTable = (rules: Readonly<Record<string, ChainRule>>) =>
  table(
    ['Rule', '', 'What must hold', 'Source', 'What to do'],
    Object.entries(rules).map(([id, { severity, sentence, source, fix }]) => [
      `\`${id}\``,
      severity === 'error' ? '**error**' : '*warning*',
      sentence,
      source,
      fix,
    ]),
  );

function profileRow(profile: CertificateProfile): readonly string[] {
  const sizes = profile.modulusBits.value.map((bits) => `RSA ${bits}`);
  const days = Math.floor(profile.maximumValiditySeconds.value / 86_400);
  const extensions = Object.entries(profile.extensions.value).map(
    ([name, criticality]) => `${name}${criticality === 'critical' ? ' (critical)' : ''}`,
  );
  return [
    `\`${profile.name}\``,
    [...sizes, ...profile.curves.value].join(', '),
    `${days} days`,
    profile.keyUsage.value.join(', '),
    profile.extKeyUsage.value.join(', ') || 'absent',
    extensions.join(', '),
  ];
}

export const lintPage = (): string =>
  [
    INTRODUCTION,
    '## Chains\n',
    chainTable(CHAIN_RULES),
    '\n## Our own certificates\n',
    ruleTable(RULES),
    '\n## Our own CRLs\n',
    ruleTable(CRL_RULES),
    '\n## Our own OCSP answers\n',
    ruleTable(OCSP_RULES),
    '\n## Profiles\n',
    'What our certificates look like; each row follows the rules named in `shared/pki/profile.ts`. `rsa` and `ec` say what the certified key is; any issuer, RSA or EC, may sign any of them.\n',
    table(
      [
        'Profile',
        'Key',
        'At most',
        'Key usage (critical)',
        'Extended key usage',
        'Extensions, and no others',
      ],
      PROFILES.map(profileRow),
    ),
    '',
  ].join('\n');
