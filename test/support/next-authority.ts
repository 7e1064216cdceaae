/** A second CA under a root of its own, as it is once it is set up: its certificates and its root's CRL are public. */
import { makeRootCrl } from '../../shared/authority/root-crl.ts';
import { type SampleAuthority, type SampleChanges, sampleAuthority } from '../pki/sample-authority.ts';
import type { World } from './fakes/world.ts';

const BASE = 'http://pki.acme.example/next';

export const nextAuthority = (changes: SampleChanges = {}): Promise<SampleAuthority> =>
  sampleAuthority({ ...changes, urlBase: BASE });

export async function publishAuthority(
  { publicWeb, clock }: Pick<World, 'publicWeb' | 'clock'>,
  { root, rootSigner, issuing }: SampleAuthority,
  issuerUrl: string,
): Promise<void> {
  const crlDer = await makeRootCrl({
    ...{ rootDer: root.certificateDer, signer: rootSigner, previousDer: root.crlDer, now: clock.now() },
  });
  for (const [url, contentType, body] of [
    [issuerUrl, 'application/pkix-cert', issuing.certificateDer],
    [`${BASE}/root.cer`, 'application/pkix-cert', root.certificateDer],
    [`${BASE}/root.crl`, 'application/pkix-crl', crlDer],
  ] as const) {
    publicWeb.put(url, { status: 200, contentType, body });
  }
}
