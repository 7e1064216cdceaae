/** An issuer takes over once whoever meets one of its leaves can look everything up. */

import type { IssuerRecord } from '../domain/records.ts';
import { retryable } from '../errors.ts';
import { addressesOf } from '../pki/issuer-addresses.ts';
import type { AuthorityDeps } from './deps.ts';
import { knownIssuer } from './known-issuer.ts';
import { assertVerified } from './readiness.ts';

/**
 * Makes a prepared issuer the active one; the one before goes on signing its CRLs and OCSP answers until its last leaf
 * has ended. Throws `issuer-not-ready` (retryable) while no CRL of its own is public, and
 * (permanent) until every address its leaves will carry was found right from outside; `issuer-missing`, `conflict`.
 */
export async function activate(
  deps: Pick<AuthorityDeps, 'ledger' | 'clock'>,
  issuerId: string,
): Promise<{ readonly retiring?: string }> {
  const issuer = await knownIssuer(deps, issuerId);
  if (issuer.state === 'active') return {};
  await assertCrlPublic(deps, issuer);
  assertVerified(issuerId, addressesOf(issuer), await deps.ledger.issuerAddresses(issuerId));
  return await deps.ledger.activateIssuer(issuerId, (done) => ({
    cause: { source: 'admin', eventId: issuerId, event: 'ca-activate' },
    step: 'issuer-activated',
    reason: 'An issuer was made the active one with "sealwright ca".',
    outcome: 'done',
    details: { issuerId, retiring: done.retiring ?? null },
  }));
}

async function assertCrlPublic(
  deps: Pick<AuthorityDeps, 'ledger' | 'clock'>,
  issuer: IssuerRecord,
): Promise<void> {
  const crl = await deps.ledger.latestPublishedCrl(issuer.issuerId);
  if (crl !== undefined && crl.nextUpdate > deps.clock.now()) return;
  throw retryable(
    'issuer-not-ready',
    `Issuer ${issuer.issuerId} has published no CRL yet that is still good; the one before goes on issuing. Look at publish-crl and sign, then activate again.`,
  );
}
