import { adminCommand } from '../admin/admin-command.ts';
import type { WrappedKeyCount } from '../admin/answers.ts';
import type { AdminClient } from '../admin/client.ts';
import { EXIT } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { table } from '../table.ts';
import { counted } from '../words.ts';
import { identityProviderOf, judgeCustody } from './custody.ts';
import { type Finding, found } from './finding.ts';
import { inspectKeyService } from './key-service.ts';
import { inspectSources } from './sources.ts';

/** Walks what of docs/deploy.md can be seen from an admin's machine. It changes nothing. */
export const doctor = adminCommand({
  name: 'doctor',
  summary: 'looks at what can be seen from here: admin API, key service, keys, event sources, who holds what',
  operands: [],
  flags: {
    'key-service': {
      kind: 'text',
      repeatable: true,
      placeholder: 'URL',
      help: 'base address of a key service, besides those of the keys in the ledger',
    },
    domain: {
      kind: 'text',
      placeholder: 'DOMAIN',
      help: 'primary Workspace domain; finds the identity provider',
    },
  },
  notes: [
    'It changes nothing and asks for nothing secret. What it cannot see it calls unknown: the Admin console, and whatever only Google knows (docs/deploy.md).',
    'Exit code 1 when a check failed; warnings alone end with 0.',
  ],
  async run(call, admin) {
    const findings = await withProgress(
      call.terminal,
      () => 'looking',
      () => allFindings(admin, call.texts('key-service'), call.text('domain')),
    );
    const failed = findings.some(({ verdict }) => verdict === 'failed');
    return {
      exitCode: failed ? EXIT.failed : EXIT.done,
      document: { findings },
      text: [
        table<Finding>(
          [
            { title: 'VERDICT', value: ({ verdict }) => (verdict === 'ok' ? 'ok' : verdict.toUpperCase()) },
            { title: 'CHECK', value: ({ check }) => check },
            { title: 'FOUND', value: ({ detail }) => detail },
          ],
          findings,
        ),
        ...findings.flatMap(({ check, advice }) => (advice === undefined ? [] : [`\n${check}: ${advice}`])),
      ].join('\n'),
    };
  },
});

async function allFindings(
  admin: AdminClient,
  named: readonly string[],
  domain: string | undefined,
): Promise<readonly Finding[]> {
  const { wrappedKeys, cardKeys, importedKeys } = await admin.wrappedKeys();
  const urls = new Set(
    [...named, ...wrappedKeys.map(({ keyServiceUrl }) => keyServiceUrl)].map(withoutSlash),
  );
  const services = await Promise.all([...urls].map((url) => inspectKeyService(url)));
  const fronts = services.flatMap(({ behindGoogle }) => (behindGoogle === undefined ? [] : [behindGoogle]));
  return [
    found('admin API', 'ok', 'It takes your token.'),
    ...(urls.size === 0 && cardKeys === 0
      ? [
          found(
            'key service',
            'unknown',
            'The ledger has no key yet.',
            'Name the key service with --key-service.',
          ),
        ]
      : services.flatMap((service) => service.findings)),
    ...wrappedKeys.flatMap(keyFindings),
    ...(await inspectSources(admin)),
    ...(cardKeys === 0
      ? []
      : [
          found(
            'keys on smart cards',
            'ok',
            `${counted(cardKeys, 'key')}: the private halves are on the cards alone, so nothing here can say whether they work.`,
          ),
        ]),
    ...(importedKeys === 0
      ? []
      : [
          found(
            'imported keys',
            'ok',
            `${counted(importedKeys, 'key')}, imported so that old mail opens: no certificate is issued over them.`,
          ),
        ]),
    judgeCustody({
      identityProvider: domain === undefined ? undefined : await identityProviderOf(domain),
      keyServiceBehindGoogle: fronts.length === 0 ? undefined : fronts.includes(true),
    }),
  ];
}

const withoutSlash = (url: string): string => (url.endsWith('/') ? url.slice(0, -1) : url);

function keyFindings({ keyServiceUrl, kekId, keys, unproven, unreadable }: WrappedKeyCount): Finding[] {
  const check = `keys of ${keyServiceUrl}${kekId === undefined ? '' : ` under ${kekId}`}`;
  return [
    ...(unproven === 0
      ? [found(check, 'ok', `All ${keys} were seen to open when they were wrapped.`)]
      : [
          found(
            check,
            'warning',
            `${unproven} of ${keys} are unproven: nobody has seen their wrapped form open.`,
            'Where the service lets you use privilegedprivatekeydecrypt: sealwright keys prove. Otherwise have each such user open an encrypted mail.',
          ),
        ]),
    ...(unreadable === 0
      ? []
      : [
          found(
            check,
            'failed',
            `${unreadable} of ${keys} did not open: their key-encryption key is lost.`,
            'Give the key service that key-encryption key back (docs/key-service.md, "Rotation").',
          ),
        ]),
  ];
}
