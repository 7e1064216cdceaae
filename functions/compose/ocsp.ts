import type { Settings } from '../../shared/config/settings.ts';
import type { OcspFunctionDeps } from '../ocsp.ts';
import { composeBase, type Given } from './parts/base.ts';
import { ledgerOf } from './parts/ledger.ts';

/** No bucket, no secrets, no bus: the responder reads answers and does nothing else. */
export async function composeOcsp(settings: Settings, given: Given): Promise<OcspFunctionDeps> {
  const { clock, log, ...base } = composeBase(settings);
  const ledger = await ledgerOf(settings, given, { clock, log, ...base });
  return {
    clock,
    log,
    answers: {
      ocspIssuers: () => ledger.ocspIssuers(),
      readOcspAnswer: (issuerId, serialHex, hash) => ledger.readOcspAnswer(issuerId, serialHex, hash),
    },
  };
}
