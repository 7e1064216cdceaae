/**
 * Keys of old mail that an admin imported. Each is uploaded once, last of all, and then left alone: it stays enabled while its
 * user is here, goes the way of the user's other pairs when they leave, and no identity ever uses it.
 */
import type { ImportedCertificate } from '../../domain/imported-certificate.ts';
import type { Step } from '../../domain/step.ts';
import type { Facts } from '../facts.ts';
import type { Standing } from '../standing.ts';
import { whyGone } from './gone.ts';

/** What waits for its turn; of somebody who is leaving or gone it is closed, saying so. */
export function importSteps(facts: Facts, standing: Standing): readonly Step[] {
  const waiting = (facts.ledger.imported ?? []).filter(({ state }) => state === 'open');
  const closed = () =>
    waiting.map((certificate) =>
      stepOf(certificate, { refuse: 'No rule covers the user any more; their mail is left as it is.' }),
    );
  switch (standing.kind) {
    case 'covered':
      return facts.gmail.kind === 'observed' ? waiting.map((certificate) => stepOf(certificate, {})) : [];
    case 'suspended':
      return waiting.map((certificate) =>
        stepOf(certificate, {
          refuse: 'The account is suspended; import the key again once it is restored.',
        }),
      );
    case 'outside':
    case 'deleted':
      return closed();
    case 'absent':
      return whyGone(facts) === undefined ? [] : closed();
    case 'frozen':
      return [];
    default:
      return standing satisfies never;
  }
}

const stepOf = (
  { importId, requestedBy }: ImportedCertificate,
  more: { readonly refuse?: string },
): Step => ({
  kind: 'import-keypair',
  chain: 'gmail',
  importId,
  reason: `${requestedBy} imported the key, so that mail of before opens.`,
  ...more,
});
