import { EXIT } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { facts, table } from '../table.ts';
import { instant } from '../words.ts';
import { adminCommand } from './admin-command.ts';
import type { CertificateView, ImportedKeyView, UserView } from './answers.ts';

export const user = adminCommand({
  name: 'user',
  summary: 'one user: state, certificates, Gmail key pairs, open wishes',
  operands: ['USER'],
  flags: {},
  notes: ['USER is an address the user has or had, or the immutable user id.'],
  async run(call, admin) {
    const [name = ''] = call.operands;
    const view = await withProgress(
      call.terminal,
      () => `reading ${name}`,
      () => admin.user(name),
    );
    return { exitCode: EXIT.done, document: view, text: describe(view) };
  },
});

function describe(view: UserView): string {
  const next =
    view.nextAction === undefined ? undefined : `${view.nextAction}, ${instant(view.nextActionAt)}`;
  const wishes = view.openWishes.map(
    (wish) =>
      `re-key (${wish.reason}), asked for by ${wish.requestedBy} at ${instant(wish.requestedAt)}, job ${wish.jobId}`,
  );
  return [
    facts([
      ['User', view.user],
      ['User id', view.userId],
      ['State', `${view.state}, since ${instant(view.since)}`],
      ['Reason', view.reason],
      ['Next', next],
      ...(view.notices ?? []).map(
        ({ message, since }) => ['Notice', `${message} (since ${instant(since)})`] as const,
      ),
      ...wishes.map((wish) => ['Open wish', wish] as const),
      ...(view.erasedKeys ?? []).map(
        ({ spkiSha256, erasedAt, requestedBy, confirmedBy }) =>
          [
            'Erased key',
            `${spkiSha256}: its wrapped form was erased at ${instant(erasedAt)}; ${requestedBy} asked for it and ${confirmedBy} confirmed it`,
          ] as const,
      ),
    ]),
    '',
    view.certificates.length === 0 ? 'No certificates.' : certificatesTable(view.certificates),
    ...(view.imported?.length ? ['', importedTable(view.imported)] : []),
  ].join('\n');
}

/** Newest first: the one in use is at the top. */
const certificatesTable = (certificates: readonly CertificateView[]): string =>
  table<CertificateView>(
    [
      { title: 'SERIAL', value: ({ serial }) => serial },
      { title: 'FROM', value: ({ notBefore }) => instant(notBefore) },
      { title: 'UNTIL', value: ({ notAfter }) => instant(notAfter) },
      { title: 'REVOKED', value: standing },
      { title: 'KEY PROOF', value: ({ keyProof }) => keyProof ?? '' },
      { title: 'ADDRESSES', value: ({ addresses }) => addresses.join(', ') },
      { title: 'KEY IS IN', value: whereKeyIs },
    ],
    certificates.toSorted((left, right) =>
      left.notBefore < right.notBefore ? 1 : left.notBefore > right.notBefore ? -1 : 0,
    ),
  );

const importedTable = (imported: readonly ImportedKeyView[]): string =>
  table<ImportedKeyView>(
    [
      { title: 'IMPORTED FOR OLD MAIL', value: ({ id }) => id },
      { title: 'FROM', value: ({ notBefore }) => instant(notBefore) },
      { title: 'UNTIL', value: ({ notAfter }) => instant(notAfter) },
      { title: 'KEY PROOF', value: ({ keyProof }) => keyProof },
      { title: 'ADDRESSES', value: ({ addresses }) => addresses.join(', ') },
      {
        title: 'KEY PAIR',
        value: ({ state, reason, keypairId = '', keypairDisabled }) =>
          state === 'uploaded'
            ? `${keypairId}${keypairDisabled === undefined ? '' : ` (disabled: ${keypairDisabled.because})`}`
            : `${state}: ${reason ?? ''}`,
      },
    ],
    imported,
  );

/** A signing or encryption key says so, and one on a smart card; a pair that Sealwright disabled says why. */
function whereKeyIs({ keypairId, device, purpose, smartCard, keypairDisabled }: CertificateView): string {
  const remarks = [
    ...(purpose === undefined || purpose === 'dual-use' ? [] : [purpose]),
    ...(smartCard === undefined ? [] : ['smart card']),
    ...(keypairDisabled === undefined ? [] : [`disabled: ${keypairDisabled.because}`]),
  ];
  const place = device ?? keypairId ?? '';
  return remarks.length === 0 ? place : `${place} (${remarks.join(', ')})`.trim();
}

function standing({ state, revocation, retirement }: CertificateView): string {
  if (revocation !== undefined) return `${instant(revocation.revokedAt)} ${revocation.reason}`;
  if (retirement !== undefined) return `due ${instant(retirement.dueAt)} ${retirement.reason}`;
  return state === 'signed' ? 'no' : 'not signed yet';
}
