import { nearest } from '../../shared/config/nearest.ts';
import { isRevocationReason, REVOCATION_REASONS } from '../../shared/domain/revocation-reason.ts';
import type { Call } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';
import { table } from '../table.ts';
import { counted } from '../words.ts';
import { adminCommand } from './admin-command.ts';
import type { RekeyWish } from './client.ts';
import { numberOfUsers } from './confirm-users.ts';
import { describeExceptions, describeJob, exitCodeOfJob, waitForJob } from './job-report.ts';

const REASONS = Object.keys(REVOCATION_REASONS);

export const rekey = adminCommand({
  name: 'rekey',
  summary:
    'new keys and certificates for some users, an org unit, a group, whoever is under an issuer, or everybody',
  operands: [],
  flags: {
    user: { kind: 'text', repeatable: true, placeholder: 'ADDRESS', help: 'this user; may be repeated' },
    'org-unit': { kind: 'text', placeholder: '/PATH', help: 'everybody in this org unit and below it' },
    group: { kind: 'text', placeholder: 'ADDRESS', help: 'the members of this group, nested ones included' },
    issuer: {
      kind: 'text',
      placeholder: 'ID',
      help: 'everybody whose certificate is of this issuer: the campaign before it is retired',
    },
    all: { kind: 'switch', help: 'everybody the policy covers' },
    reason: { kind: 'text', placeholder: 'REASON', help: `why: ${REASONS.join(', ')}` },
    'invalidity-date': {
      kind: 'text',
      placeholder: 'INSTANT',
      help: 'since when the key is thought to be compromised: 2026-11-01T00:00:00Z',
    },
    'confirm-users': {
      kind: 'text',
      placeholder: 'N',
      help: 'how many users you mean; needed with keyCompromise and with --disable-keypairs for more than the guard lets depart in an hour',
    },
    'disable-keypairs': {
      kind: 'switch',
      help: 'disable the replaced key pairs: mail encrypted to them becomes unreadable in Gmail',
    },
    'dry-run': { kind: 'switch', help: 'only say whom it would touch' },
    wait: { kind: 'switch', help: 'wait until it is done, with progress' },
  },
  notes: [
    'Example: sealwright rekey --org-unit /Staff --reason superseded --dry-run',
    'With keyCompromise the old certificates are revoked first and at once; with other reasons the policy decides how long they overlap.',
    'keyCompromise is also for whoever leaves or is gone, as long as the certificate is good: it is revoked, and there is no new key.',
    'With --wait it ends with 4 when some users failed and some did not, with 1 when all did.',
  ],
  async run(call, admin) {
    const wish = wishOf(call);
    if (call.isSet('dry-run') && call.isSet('wait')) {
      throw new UsageError('With --dry-run there is nothing to wait for; leave out --wait.');
    }
    if (call.isSet('dry-run')) {
      const forecast = await withProgress(
        call.terminal,
        () => 'asking whom it would touch',
        () => admin.rekeyForecast(wish),
      );
      const rows = table(
        [
          { title: 'USER', value: ({ user }) => user },
          { title: 'STEP', value: ({ step }) => step },
          { title: 'REASON', value: ({ reason }) => reason },
        ],
        forecast.users,
      );
      return {
        exitCode: EXIT.done,
        document: forecast,
        text: `${rows}\n\n${counted(forecast.total, 'user')} would be re-keyed; nothing was changed.${describeExceptions(forecast)}`,
      };
    }
    const accepted = await withProgress(
      call.terminal,
      () => 'recording the job',
      () => admin.rekey(wish),
    );
    const { job: id, observed, revokedOnly } = accepted;
    const exceptions = describeExceptions(accepted);
    if (!call.isSet('wait')) {
      return {
        exitCode: EXIT.done,
        document: { job: id, observed, revokedOnly },
        text: `Job ${id} is recorded and runs. "sealwright job ${id} --wait" shows how it ends.${exceptions}`,
      };
    }
    call.terminal.tell(`Job ${id} is recorded and runs; Ctrl-C ends only the waiting.${exceptions}`);
    const job = await waitForJob(admin, id, call.terminal);
    return {
      exitCode: exitCodeOfJob(job),
      document: { job: id, observed, revokedOnly, ...job },
      text: describeJob(id, job),
    };
  },
});

function wishOf(call: Call): RekeyWish {
  const users = call.texts('user');
  const orgUnit = call.text('org-unit');
  const group = call.text('group');
  const issuer = call.text('issuer');
  const selectors = [
    users.length > 0,
    orgUnit !== undefined,
    group !== undefined,
    issuer !== undefined,
    call.isSet('all'),
  ].filter(Boolean).length;
  if (selectors !== 1) {
    throw new UsageError(
      `Say who: --user ADDRESS (may be repeated), --org-unit /PATH, --group ADDRESS, --issuer ID or --all${selectors === 0 ? '' : ', and only one kind of them'}.`,
    );
  }
  if (orgUnit !== undefined && !orgUnit.startsWith('/')) {
    throw new UsageError(`An org unit is a path that begins with a slash: --org-unit /${orgUnit}.`);
  }
  const since = call.text('invalidity-date');
  const confirmed = call.text('confirm-users');
  const reason = reasonOf(call.text('reason'));
  if (since !== undefined && reason !== 'keyCompromise') {
    throw new UsageError(
      '--invalidity-date says when a key was compromised: it goes with --reason keyCompromise.',
    );
  }
  return {
    ...(users.length > 0 ? { users } : {}),
    ...(orgUnit === undefined ? {} : { orgUnit }),
    ...(group === undefined ? {} : { group }),
    ...(issuer === undefined ? {} : { issuer }),
    ...(call.isSet('all') ? { all: true } : {}),
    reason,
    ...(since === undefined ? {} : { invalidityDate: instantOf(since) }),
    ...(confirmed === undefined ? {} : { confirmUsers: numberOfUsers(confirmed) }),
    ...(call.isSet('disable-keypairs') ? { disableKeypairs: true } : {}),
  };
}

function reasonOf(text: string | undefined): string {
  if (text === undefined) throw new UsageError(`Say why: --reason ${REASONS.join(', ')}.`);
  if (isRevocationReason(text)) return text;
  const guess = nearest(text, REASONS);
  throw new UsageError(
    `"${text}" is no reason; ${guess === undefined ? `known are ${REASONS.join(', ')}.` : `did you mean "${guess}"?`}`,
  );
}

function instantOf(text: string): string {
  const date = new Date(text);
  if (!/^\d{4}-\d\d-\d\dT/.test(text) || Number.isNaN(date.getTime())) {
    throw new UsageError(`"${text}" is no instant; write one such as 2026-11-01T00:00:00Z.`);
  }
  return date.toISOString();
}
