import { REVOCATION_REASONS } from '../../shared/domain/revocation-reason.ts';
import { adminCommand } from '../admin/admin-command.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';

const REASONS = Object.keys(REVOCATION_REASONS);

export const certRevoke = adminCommand({
  name: 'cert revoke',
  summary: 'revokes a device’s certificate, or takes a request for one back',
  operands: ['DEVICE'],
  flags: {
    reason: { kind: 'text', placeholder: 'REASON', help: `why: ${REASONS.join(', ')}` },
  },
  notes: [
    'DEVICE is the id that "cert issue" printed; "sealwright user USER --json" has it as deviceId.',
    'keyCompromise for a device that is lost or stolen: its key is then never certified again.',
    'A certificate for Gmail is replaced instead: "sealwright rekey --user USER --reason keyCompromise".',
  ],
  async run(call, admin) {
    const [device = ''] = call.operands;
    const reason = call.text('reason');
    if (reason === undefined || !REASONS.includes(reason)) {
      throw new UsageError(`Say with --reason why: ${REASONS.join(', ')}.`);
    }
    const view = await withProgress(
      call.terminal,
      () => `revoking ${device}`,
      () => admin.revokeDevice(device, reason),
    );
    const what = view.serial === undefined ? 'The request' : `Certificate ${view.serial}`;
    return {
      exitCode: EXIT.done,
      document: view,
      text:
        view.serial === undefined
          ? `${what} of ${view.user} for "${view.device}" is taken back; there was no certificate.`
          : `${what} of ${view.user} for "${view.device}" is revoked within seconds (${reason}); the CRL follows within a minute.`,
    };
  },
});
