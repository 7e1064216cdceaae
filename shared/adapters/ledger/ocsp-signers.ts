/** Delegated OCSP signers from intent to certificate. */
import type { Clock } from '../../ports/clock.ts';
import type { OcspLedger } from '../../ports/ledger/ocsp.ts';
import type { Database } from './database.ts';
import { serviceSigners } from './service-signers.ts';

export const ocspSigners = (
  database: Database,
  clock: Clock,
): Pick<
  OcspLedger,
  'recordOcspSignerIntent' | 'readOcspSigner' | 'recordSignedOcspSigner' | 'ocspSigners'
> => {
  const signers = serviceSigners(database, clock, { table: 'ocsp_signers', called: 'OCSP signer' });
  return {
    recordOcspSignerIntent: signers.intend,
    readOcspSigner: (serialHex) => signers.read(serialHex),
    recordSignedOcspSigner: signers.recordSigned,
    ocspSigners: signers.current,
  };
};
