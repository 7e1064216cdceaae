import { retireRevoked } from '../../shared/authority/retire.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { type CaSurroundings, ENVIRONMENT_NOTE, withAuthority } from './authority-access.ts';
import { crlBytes, readNamed } from './files.ts';

export const caRetire = (surroundings: CaSurroundings = {}): Command => ({
  name: 'ca retire',
  summary: 'retires an issuing CA that its root has revoked, whose key cannot or may not sign any more',
  operands: ['ISSUER'],
  flags: {
    crl: {
      kind: 'text',
      placeholder: 'FILE',
      help: "the CRL of the CA above, where that is not in our bucket; default what is public at the root's address",
    },
  },
  notes: [
    'Only an issuer that the CRL of the CA above lists, and that is not the active one. Nothing is signed with its key from then on, no CRL and no OCSP answer, and "ca health" is silent about it; whoever has one of its certificates gets another at the next look.',
    'An issuer that is merely followed by another needs no command: it signs its CRLs until its last certificate has ended, and is retired by itself.',
    ENVIRONMENT_NOTE,
  ],
  run: (call) => {
    const [issuerId = ''] = call.operands;
    const file = call.text('crl');
    const crlDer = file === undefined ? undefined : crlBytes(readNamed(file, 'The CRL'));
    return withAuthority(call, surroundings, async (deps) => {
      const { state } = await retireRevoked(deps, issuerId, crlDer);
      return {
        exitCode: EXIT.done,
        document: { issuerId, state },
        text: `Issuer ${issuerId} is retired: it signs nothing any more.`,
      };
    });
  },
});
