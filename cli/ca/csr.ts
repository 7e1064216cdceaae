import { existsSync } from 'node:fs';
import { requestIssuer } from '../../shared/authority/follow.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';
import { facts } from '../table.ts';
import { type CaSurroundings, ENVIRONMENT_NOTE, projectOf, withAuthority } from './authority-access.ts';
import { writeNew } from './files.ts';
import { KEY_FLAGS, keyPlaceOf, needed } from './key-flags.ts';

export const caCsr = (surroundings: CaSurroundings = {}): Command => ({
  name: 'ca csr',
  summary: 'makes an issuing key and the request for a certificate that another CA signs',
  operands: [],
  flags: {
    country: { kind: 'text', placeholder: 'DE', help: 'country of the company, two capital letters' },
    organization: { kind: 'text', placeholder: 'NAME', help: 'name of the company' },
    'common-name': {
      kind: 'text',
      placeholder: 'NAME',
      help: 'name of the CA, such as "Acme S/MIME Issuing CA 1"',
    },
    out: { kind: 'text', placeholder: 'FILE', help: 'where the request goes, PEM' },
    ...KEY_FLAGS,
  },
  notes: [
    'The key is stored in Secret Manager (or stays in Cloud KMS) and never leaves; only the request goes to the other CA. What comes back is installed with "ca install".',
    'The request asks for a CA with path length 0, key usage digitalSignature, keyCertSign and cRLSign, and emailProtection. Ask the other CA for a certificate policy of yours and for the http address of its own CRL, which Gmail wants too.',
    `${ENVIRONMENT_NOTE} With --kms-key they need roles/cloudkms.signerVerifier on the key.`,
  ],
  run: async (call) => {
    const given = needed(call, 'ca csr', ['country', 'organization', 'common-name', 'out']);
    if (!/^[A-Z]{2}$/.test(given.country))
      throw new UsageError(
        `--country takes two capital letters (ISO 3166-1), such as DE, not "${given.country}".`,
      );
    // Before a key is made that nobody could use.
    if (existsSync(given.out))
      throw new UsageError(`${given.out} exists already and is not overwritten; choose another name.`);
    const key = keyPlaceOf(call, projectOf(call));
    return await withAuthority(
      call,
      surroundings,
      async (deps) => {
        const asked = await withProgress(
          call.terminal,
          () => 'making the key and the request',
          () =>
            requestIssuer(deps, {
              subject: {
                country: given.country,
                organization: given.organization,
                commonName: given['common-name'],
              },
              key,
            }),
        );
        writeNew(given.out, derToPem('CERTIFICATE REQUEST', asked.csrDer));
        const { keyVersion, spkiSha256Hex } = asked;
        return {
          exitCode: EXIT.done,
          document: { request: given.out, keyVersion, spkiSha256: spkiSha256Hex },
          text: [
            facts([
              ['Request', given.out],
              ['Key', keyVersion],
              ['SPKI SHA-256', spkiSha256Hex],
            ]),
            '',
            'Next: have it signed as a subordinate CA, then "sealwright ca install CERTIFICATE --chain ROOT --pki-url URL".',
          ].join('\n'),
        };
      },
      { migrate: true },
    );
  },
});
