import { activate } from '../../shared/authority/activate.ts';
import { rollIssuer } from '../../shared/authority/follow.ts';
import type { Command } from '../command.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';
import {
  type CaSurroundings,
  ENVIRONMENT_NOTE,
  projectOf,
  takeOver,
  withAuthority,
} from './authority-access.ts';
import { issuerReport } from './issuer-report.ts';
import { KEY_FLAGS, keyPlaceOf } from './key-flags.ts';
import { openOfflineRoot, ROOT_KEY_FLAGS } from './root-key.ts';

export const caRoll = (surroundings: CaSurroundings = {}): Command => ({
  name: 'ca roll',
  summary: 'makes the next issuing CA under our root and lets it take over',
  operands: [],
  flags: {
    ...ROOT_KEY_FLAGS,
    ...KEY_FLAGS,
    activate: {
      kind: 'text',
      placeholder: 'ISSUER',
      help: 'let an issuer that is prepared already take over; needs no root key',
    },
  },
  notes: [
    'The new CA has the next number in its name, the same policies and the same addresses of the root. It takes over when its first CRL is public; until then, and if that fails, the one before goes on issuing (exit code 4).',
    'The one before is retiring from then on: it signs its CRLs until the last certificate under it has ended, and is retired by itself. Users get certificates of the new one when they are renewed or re-keyed.',
    ENVIRONMENT_NOTE,
  ],
  run: async (call) => {
    const prepared = call.text('activate');
    const folder = call.text('offline');
    if ((prepared === undefined) === (folder === undefined)) {
      throw new UsageError(
        '"ca roll" makes an issuing CA with --offline DIR, or activates a prepared one with --activate ISSUER: give one of the two.',
      );
    }
    if (prepared !== undefined) {
      return await withAuthority(call, surroundings, async (deps) => {
        const activation = await activate(deps, prepared);
        const issuer = await deps.ledger.readIssuer(prepared);
        if (issuer === undefined)
          throw new Error(`Issuer ${prepared} was activated and is not in the ledger.`);
        return issuerReport(issuer, { state: 'active', ...activation });
      });
    }
    const key = keyPlaceOf(call, projectOf(call));
    const prompt = surroundings.prompt ?? { input: process.stdin, output: process.stderr };
    const root = await openOfflineRoot(call, folder ?? '', prompt);
    return await withAuthority(call, surroundings, async (deps) => {
      const issuer = await withProgress(
        call.terminal,
        () => 'making the next issuing CA',
        () => rollIssuer(deps, { root, key }),
      );
      return issuerReport(issuer, await takeOver(call, deps, issuer, surroundings));
    });
  },
});
