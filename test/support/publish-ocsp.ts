/** All that a run of publish-crl does about one issuer's OCSP answers. */
import {
  type PublishOcspDeps,
  publishRevoked,
  refreshOcsp,
  type Time,
} from '../../shared/authority/publish-ocsp.ts';
import type { IssuerRecord } from '../../shared/domain/records.ts';

const UNHURRIED: Time = { hasTime: () => true, elapsedMs: () => 0 };

export async function publishOcsp(
  deps: PublishOcspDeps,
  issuer: IssuerRecord,
  time: Time = UNHURRIED,
): Promise<void> {
  await publishRevoked(deps, issuer, time);
  await refreshOcsp(deps, issuer, time);
}
