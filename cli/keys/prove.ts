import { adminCommand } from '../admin/admin-command.ts';
import type { KeyProofFailure, WrappedKeyCount } from '../admin/answers.ts';
import type { AdminClient } from '../admin/client.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { readInput } from '../input-file.ts';
import { withProgress } from '../progress.ts';
import { table } from '../table.ts';
import { counted } from '../words.ts';

export const keysProve = adminCommand({
  name: 'keys prove',
  summary: 'has a key service decrypt a sample with each key that nobody has seen open',
  operands: [],
  flags: {
    'key-service': {
      kind: 'text',
      placeholder: 'URL',
      help: 'which one, as `keys status` lists it; may be left out where only one has unproven keys',
    },
    'key-service-token-file': {
      kind: 'text',
      placeholder: 'FILE',
      help: 'a token that lets its owner use privilegedprivatekeydecrypt there, read again for each page (or SEALWRIGHT_KEY_SERVICE_TOKEN)',
    },
  },
  notes: [
    'The token is of the identity provider that the key service knows for admins. It goes to the admin function and from there to that key service alone, and is kept nowhere.',
    'Exit code 4 when a key did not open or opened to another key: what was encrypted to it cannot be read.',
  ],
  async run(call, admin) {
    const token = tokenOf(call);
    const keyService = chosen(call.text('key-service'), (await admin.wrappedKeys()).wrappedKeys);
    const { proven, failed } = await withProgress(
      call.terminal,
      () => `samples go to ${keyService}`,
      () => proveAll(admin, keyService, token),
    );
    return {
      exitCode: failed.length === 0 ? EXIT.done : EXIT.partlyDone,
      document: { keyService, proven, failed },
      text: [
        `${keyService} decrypted a sample with ${counted(proven, 'key')}: proven.`,
        ...(failed.length === 0
          ? []
          : [
              `${counted(failed.length, 'key')} did not: re-key these users, and ask the key service what became of the wrapped keys.`,
              '',
              table<KeyProofFailure>(
                [
                  { title: 'USER', value: ({ user }) => user },
                  { title: 'KEY', value: ({ keyId }) => keyId },
                  { title: 'WHY', value: ({ reason }) => reason },
                ],
                failed,
              ),
            ]),
      ].join('\n'),
    };
  },
});

/** Throws `UsageError`; never echoes a token. */
function tokenOf(call: {
  text(flag: 'key-service-token-file'): string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
}): () => string {
  const file = call.text('key-service-token-file');
  const given = call.environment['SEALWRIGHT_KEY_SERVICE_TOKEN'] ?? '';
  if (file === undefined && given === '') {
    throw new UsageError(
      'No token for the key service was given: name a file with --key-service-token-file or set SEALWRIGHT_KEY_SERVICE_TOKEN.',
    );
  }
  const token = () => (file === undefined ? given : readInput(file).toString('utf8')).trim();
  if (token() === '') throw new UsageError('The token for the key service is empty.');
  return token;
}

function chosen(named: string | undefined, counts: readonly WrappedKeyCount[]): string {
  const open = new Set(
    counts.filter(({ unproven }) => unproven > 0).map(({ keyServiceUrl }) => keyServiceUrl),
  );
  const [only, ...others] = open;
  if (named !== undefined) {
    if (counts.some(({ keyServiceUrl }) => keyServiceUrl === named)) return named;
    throw new UsageError(
      `The ledger has no wrapped key of ${named}; \`keys status\` lists the key services.`,
    );
  }
  if (only === undefined) throw new UsageError('Every wrapped key is proven already.');
  if (others.length === 0) return only;
  throw new UsageError(
    `Several key services have unproven keys; name one with --key-service: ${[...open].join(', ')}.`,
  );
}

async function proveAll(admin: AdminClient, keyService: string, token: () => string) {
  let proven = 0;
  const failed: KeyProofFailure[] = [];
  let after: string | undefined;
  do {
    const page = await admin.proveKeys({ keyService, authentication: token(), after });
    proven += page.proven;
    failed.push(...page.failed);
    after = page.next;
  } while (after !== undefined);
  return { proven, failed };
}
