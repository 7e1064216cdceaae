/** The audit trail as an auditor takes it away: with its signed checkpoints, checked without the ledger. */
import { join } from 'node:path';
import type { Artefacts } from './artefacts.ts';
import type { CompanyClient } from './company-client.ts';
import type { Console } from './console.ts';
import { sealwright } from './sealwright.ts';

interface Line {
  readonly kind: 'entry' | 'checkpoint';
  readonly number?: string;
  readonly statement?: string;
  /** DER of CMS SignedData, base64. */
  readonly signed?: string;
}

export async function exportAudit(
  company: CompanyClient,
  artefacts: Artefacts,
  console: Console,
): Promise<void> {
  const trail = await console.step('sealwright audit export', () =>
    sealwright(['audit', 'export'], company.commandEnvironment),
  );
  artefacts.write('audit/trail.jsonl', trail, {
    kind: 'the audit trail with its signed checkpoints, JSON Lines',
    checks: [],
  });
  const lines = trail
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
  const last = lines.findLast(({ kind, signed }) => kind === 'checkpoint' && signed !== undefined);
  if (last?.signed === undefined) throw new Error('No checkpoint of the audit trail was signed.');
  const at = Math.floor((await company.now()).getTime() / 1000);
  artefacts.write('audit/checkpoint.p7s', Buffer.from(last.signed, 'base64'), {
    kind: 'the last checkpoint of the audit trail, CMS SignedData, DER',
    checks: [
      {
        command: [
          ...[
            'openssl',
            'cms',
            '-verify',
            '-inform',
            'DER',
            '-in',
            'audit/checkpoint.p7s',
            '-purpose',
            'any',
          ],
          ...['-attime', String(at), '-CAfile', 'trust/root.pem'],
        ],
        shows: 'the checkpoint of the audit trail is signed under the root',
        expectedExit: 0,
        expectedOutput: 'heads SHA-256',
      },
    ],
  });
  const file = join(artefacts.folder, 'audit/trail.jsonl');
  const root = join(artefacts.folder, 'trust/root.pem');
  await console.step(
    'sealwright audit verify --root trust/root.pem --file audit/trail.jsonl',
    () => sealwright(['audit', 'verify', '--root', root, '--file', file]),
    () =>
      `${lines.filter(({ kind }) => kind === 'entry').length} entries, nothing changed, removed or inserted`,
  );
}
