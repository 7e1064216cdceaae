/** What the CA does for itself on each scheduled run, after its CRLs are out. */
import type { Log } from '../ports/log.ts';
import { authorityHealth, type HealthDeps } from './health.ts';

/**
 * Retires issuers that nothing depends on any more, and writes each error and warning about the CA into the log as
 * `ca-finding`, where an alert waits for it.
 */
export async function upkeep(deps: HealthDeps & { readonly log: Log }): Promise<void> {
  for (const { issuerId, state } of await deps.ledger.issuers()) {
    if (state !== 'retiring') continue;
    const isRetired = await deps.ledger.retireIssuer(issuerId, {
      cause: { source: 'due', eventId: issuerId, event: 'upkeep' },
      step: 'issuer-retired',
      reason: 'Its last certificate has ended, and a CRL made after that was published.',
      outcome: 'done',
      details: { issuerId },
    });
    if (isRetired) deps.log.info('issuer-retired', { issuerId });
  }
  for (const finding of await authorityHealth(deps)) {
    if (finding.severity === 'info') continue;
    const { id, sentence, fix, severity, issuerId } = finding;
    const fields = {
      id,
      severity,
      message: `${sentence} ${fix}`,
      ...(issuerId === undefined ? {} : { issuerId }),
    };
    if (severity === 'error') deps.log.error('ca-finding', fields);
    else deps.log.warning('ca-finding', fields);
  }
}
