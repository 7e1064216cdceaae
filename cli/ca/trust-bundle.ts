import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { trustBundles } from '../../shared/authority/trust-bundle.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { CommandFailure } from '../failure.ts';
import { type CaSurroundings, ENVIRONMENT_NOTE, withAuthority } from './authority-access.ts';
import { replaceFile } from './files.ts';

export const caTrustBundle = (surroundings: CaSurroundings = {}): Command => ({
  name: 'ca trust-bundle',
  summary: 'the PEM that the Admin console takes: a user, issuing CAs, one root',
  operands: [],
  flags: {
    out: {
      kind: 'text',
      placeholder: 'DIR',
      help: 'folder for one file for each root; default standard output',
    },
  },
  notes: [
    'The Admin console wants exactly one root in a file, an intermediate above each user, and one user certificate for each chain; without one it checks less. Issuers that are retired are left out.',
    ENVIRONMENT_NOTE,
  ],
  run: (call) =>
    withAuthority(call, surroundings, async ({ ledger }) => {
      const bundles = await trustBundles(ledger);
      const [first] = bundles;
      if (first === undefined)
        throw new CommandFailure('issuer-missing', 'There is no CA yet: make one with "sealwright ca init".');
      const folder = call.text('out');
      if (folder === undefined && bundles.length > 1) {
        throw new CommandFailure(
          'several-roots',
          `There are ${bundles.length} roots, and the Admin console takes one in a file: give --out DIR.`,
        );
      }
      const files = folder === undefined ? [] : bundles.map((bundle) => write(folder, bundle));
      for (const { hasLeaves, issuerIds } of bundles) {
        if (hasLeaves) continue;
        call.terminal.tell(
          `Of an issuer among ${issuerIds.join(', ')} there is no living certificate yet: upload the bundle again when there is one, as Google checks more then.`,
        );
      }
      return {
        exitCode: EXIT.done,
        document: bundles.map((bundle, index) => ({ ...bundle, file: files[index] })),
        text: folder === undefined ? first.pem.trimEnd() : files.join('\n'),
      };
    }),
});

function write(folder: string, bundle: { readonly rootSha256Hex: string; readonly pem: string }): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `admin-console-${bundle.rootSha256Hex.slice(0, 16)}.pem`);
  replaceFile(file, bundle.pem);
  return file;
}
