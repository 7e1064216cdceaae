import { installIssuer } from '../../shared/authority/follow.ts';
import type { Command } from '../command.ts';
import { type CaSurroundings, ENVIRONMENT_NOTE, takeOver, withAuthority } from './authority-access.ts';
import { openChainFile } from './files.ts';
import { issuerReport } from './issuer-report.ts';
import { checkPkiUrl, needed, PKI_URL_FLAG } from './key-flags.ts';

export const caInstall = (surroundings: CaSurroundings = {}): Command => ({
  name: 'ca install',
  summary: 'takes the certificate that another CA signed for "ca csr"',
  operands: ['FILE'],
  flags: {
    chain: {
      kind: 'text',
      placeholder: 'FILE',
      repeatable: true,
      help: 'further certificates, up to the root; may be repeated',
    },
    ...PKI_URL_FLAG,
  },
  notes: [
    'FILE and --chain are PEM, DER or PKCS#7, in any order, root included. The key is found by the public key in the certificate. What "ca import" refuses in a chain is refused here too.',
    ENVIRONMENT_NOTE,
  ],
  run: async (call) => {
    const { 'pki-url': pkiUrl } = needed(call, 'ca install', ['pki-url']);
    checkPkiUrl(pkiUrl);
    const files = [];
    for (const file of [...call.operands, ...call.texts('chain')])
      files.push(await openChainFile(file, async () => ''));
    const all = files.flatMap(({ certificatesDer }) => certificatesDer);
    const certificatesDer = all.filter(
      (der, index) => all.findIndex((other) => Buffer.compare(other, der) === 0) === index,
    );
    return await withAuthority(call, surroundings, async (deps) => {
      const issuer = await installIssuer(deps, { certificatesDer, pkiUrl });
      return issuerReport(issuer, await takeOver(call, deps, issuer, surroundings));
    });
  },
});
