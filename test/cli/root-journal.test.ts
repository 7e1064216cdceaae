import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { journalled, unfinished } from '../../cli/ca/root-journal.ts';
import { makeRootCrl } from '../../shared/authority/root-crl.ts';
import { createAuthority } from '../../shared/pki/authority.ts';
import { readCertificate } from '../../shared/pki/certificate.ts';
import { readCrlHeader } from '../../shared/pki/crl-reader.ts';
import { EXAMPLE_POLICY_OID } from '../../shared/pki/oids.ts';
import type { Signer } from '../../shared/pki/signer.ts';
import { DAY, NOW, seededRandom } from '../pki/sample-authority.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealwright-journal-'));
  file = join(folder, 'root.journal');
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Kept {
  readonly rootSigner: Signer;
  readonly authority: Awaited<ReturnType<typeof createAuthority>>;
}
/** A CA whose root's signer is `around` what it would be. */
async function made(around: (root: Signer) => Signer): Promise<Kept> {
  let rootSigner: Signer | undefined;
  const authority = await createAuthority({
    ...{ country: 'DE', organization: 'Acme GmbH', rootName: 'Acme Root', issuingName: 'Acme Issuing CA' },
    ...{ rootCrlUrl: 'http://pki.acme.example/root.crl', rootUrl: 'http://pki.acme.example/root.cer' },
    ...{ policyOids: { own: EXAMPLE_POLICY_OID }, now: NOW, random: seededRandom('journal'), curve: 'P-256' },
    witness: (root) => {
      rootSigner = around(root);
      return rootSigner;
    },
  });
  if (rootSigner === undefined) throw new Error('The root has no signer.');
  return { authority, rootSigner };
}
const lines = () =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line): Record<string, string> => JSON.parse(line));

describe('the journal of a root', () => {
  it('has every certificate and CRL of a set-up and after, to the byte, each before its signature', async () => {
    const { authority, rootSigner } = await made((root) => journalled(root, file, () => NOW));
    const crlDer = await makeRootCrl({
      rootDer: authority.root.certificateDer,
      signer: rootSigner,
      previousDer: authority.root.crlDer,
      now: new Date(NOW.getTime() + DAY),
    });
    const [root, issuing] = [authority.root, authority.issuing].map(({ certificateDer }) =>
      readCertificate(certificateDer),
    );
    const tbs = [
      root?.tbsDer ?? new Uint8Array(),
      readCrlHeader(authority.root.crlDer).tbsDer,
      issuing?.tbsDer ?? new Uint8Array(),
      readCrlHeader(crlDer).tbsDer,
    ];
    expect(lines()).toEqual(
      [`certificate ${root?.serialHex}`, 'CRL 1', `certificate ${issuing?.serialHex}`, 'CRL 2'].flatMap(
        (intends, place) => {
          const bytes = tbs[place] ?? new Uint8Array();
          const sha256 = createHash('sha256').update(bytes).digest('hex');
          return [
            { at: NOW.toISOString(), intends, sha256, tbs: Buffer.from(bytes).toString('base64') },
            { at: NOW.toISOString(), signed: sha256, signature: expect.stringMatching(/^[A-Za-z0-9+/]+=*$/) },
          ];
        },
      ),
    );
    expect(unfinished(file)).toEqual([]);
  });

  it('is written before the key is used, so that what a death leaves unsaid is named', async () => {
    const dies = (root: Signer): Signer => ({
      ...root,
      sign: async () => {
        throw new Error('The power is gone.');
      },
    });
    await expect(made((root) => journalled(dies(root), file, () => NOW))).rejects.toThrow(
      'The power is gone.',
    );
    expect(unfinished(file)).toEqual([
      expect.stringMatching(/^certificate [0-9a-f]{36}, to be signed at 2026-11-22T10:00:00.700Z$/),
    ]);
  });

  it('that cannot be written keeps the key from signing', async () => {
    mkdirSync(file);
    let uses = 0;
    const counted = (root: Signer): Signer => ({
      ...root,
      sign: (bytes) => {
        uses += 1;
        return root.sign(bytes);
      },
    });
    await expect(made((root) => journalled(counted(root), file))).rejects.toMatchObject({
      code: 'root-journal-unwritable',
      message: expect.stringMatching(/signs nothing that is not written down there first/),
    });
    expect(uses).toBe(0);
  });

  it('goes on behind a line that a power failure cut', async () => {
    appendFileSync(file, '{"at":"2026-11-22T09:00:00.000Z","intends":"CRL 1","sha2');
    await made((root) => journalled(root, file));
    expect(unfinished(file)).toEqual([]);
    expect(readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(7);
  });

  it('does not let pass a signature over something else than it says', async () => {
    let first: Uint8Array | undefined;
    const swapped = (root: Signer): Signer => ({
      ...root,
      sign: async (bytes) => {
        first ??= await root.sign(bytes);
        return first;
      },
    });
    await expect(made((root) => journalled(swapped(root), file))).rejects.toThrow(
      'signed something else than its journal says',
    );
  });
});
