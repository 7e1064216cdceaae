import { isSealwrightError } from '../errors.ts';
import type { Bus } from '../ports/bus.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { Log } from '../ports/log.ts';
import type { Signing } from '../ports/signing.ts';
import { type PreSignDeps, preSignLeaf } from './pre-sign.ts';

export interface StatusAtIssueDeps extends Omit<PreSignDeps, 'ledger' | 'signing'> {
  readonly ledger: PreSignDeps['ledger'] & Pick<Ledger, 'readLeafStatus'>;
  readonly bus: Pick<Bus, 'requestCrl'>;
  readonly log: Log;
}

/**
 * Signing whose leaves have an OCSP answer from their first moment: before anybody can have seen the certificate, its
 * status is there. Should that fail, the certificate stands and its status is in the CRL; publish-crl is asked, and signs
 * whatever answer is missing.
 */
export function withStatusAtIssue(signing: Signing, deps: StatusAtIssueDeps): Signing {
  const publishStatus = async (serialHex: string) => {
    const status = await deps.ledger.readLeafStatus(serialHex);
    if (status?.issuer.ocspUrl === undefined) return;
    try {
      await preSignLeaf({ ...deps, signing }, status);
    } catch (error) {
      if (!isSealwrightError(error)) throw error;
      deps.log.warning('ocsp-answer-missing', { serialHex, code: error.code, message: error.message });
      await deps.bus.requestCrl(status.issuer.issuerId);
    }
  };
  return {
    ...signing,
    signLeaf: async (serialHex) => {
      const leafDer = await signing.signLeaf(serialHex);
      try {
        await publishStatus(serialHex);
      } catch (error) {
        // The leaf is signed and recorded; a second failure here must not make it look otherwise.
        if (!isSealwrightError(error)) throw error;
        deps.log.warning('ocsp-answer-missing', { serialHex, code: error.code, message: error.message });
      }
      return leafDer;
    },
  };
}
