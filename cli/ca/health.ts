import { authorityHealth, type HealthFinding } from '../../shared/authority/health.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { counted } from '../words.ts';
import { type CaSurroundings, ENVIRONMENT_NOTE, withAuthority } from './authority-access.ts';

export const caHealth = (surroundings: CaSurroundings = {}): Command => ({
  name: 'ca health',
  summary: 'what is wrong with the CA, or will be, and what to do about it',
  operands: [],
  flags: {},
  notes: [
    'Ends with 1 when there is an error, so it can stand in a monitoring job. Each finding has an id that stays; docs/runbooks/ca.md has them all. The function publish-crl looks at the same every six hours and logs ca-finding.',
    `${ENVIRONMENT_NOTE} Whether keys are enabled is seen with roles/secretmanager.viewer on the secret, or roles/cloudkms.publicKeyViewer on the key.`,
  ],
  run: (call) =>
    withAuthority(call, surroundings, async (deps) => {
      const findings = await withProgress(
        call.terminal,
        () => 'looking at the CA',
        () => authorityHealth(deps),
      );
      const errors = findings.filter(({ severity }) => severity === 'error').length;
      const warnings = findings.filter(({ severity }) => severity === 'warning').length;
      return {
        exitCode: errors > 0 ? EXIT.failed : EXIT.done,
        document: { healthy: errors === 0, errors, warnings, findings },
        text: [
          ...findings.map(describe),
          errors + warnings === 0
            ? 'The CA is well.'
            : `${counted(errors, 'error')}, ${counted(warnings, 'warning')}.`,
        ].join('\n'),
      };
    }),
});

const describe = ({ severity, id, sentence, fix }: HealthFinding): string =>
  `${severity.toUpperCase().padEnd(7)} ${id}: ${sentence}\n        ${fix}`;
