/**
 * What the Admin console takes for a root of one's own: one PEM with exactly one root, at least one intermediate, and one
 * user's certificate for each chain, from the user upwards. https://support.google.com/a/answer/13297070
 */
import { sha256Hex } from '../pki/certificate.ts';
import { derToPem } from '../pki/pem.ts';
import type { Ledger } from '../ports/ledger.ts';
import { rootOf } from './root-crl.ts';

export interface TrustBundle {
  readonly rootSha256Hex: string;
  readonly rootPem: string;
  readonly pem: string;
  readonly issuerIds: readonly string[];
  /** Whether every chain shows a user's certificate; without one Google checks less. */
  readonly hasLeaves: boolean;
}

/** One bundle for each root above issuers that are not retired, the active issuer's first. */
export async function trustBundles(
  ledger: Pick<Ledger, 'issuers' | 'issuerHoldings'>,
): Promise<readonly TrustBundle[]> {
  const living = (await ledger.issuers())
    .filter(({ state }) => state !== 'retired')
    .toSorted((left, right) => Number(right.state === 'active') - Number(left.state === 'active'));
  const roots = new Map<string, Uint8Array>();
  for (const issuer of living) {
    const root = rootOf(issuer);
    if (root !== undefined) roots.set(sha256Hex(root.rootDer), root.rootDer);
  }
  const bundles: TrustBundle[] = [];
  for (const [rootSha256Hex, rootDer] of roots) {
    const below = living.filter(({ chainDer }) => sha256Hex(chainDer.at(-1) ?? rootDer) === rootSha256Hex);
    const ders: Uint8Array[] = [];
    let hasLeaves = true;
    for (const { issuerId, certificateDer, chainDer } of below) {
      const { sampleDer } = await ledger.issuerHoldings(issuerId);
      hasLeaves &&= sampleDer !== undefined;
      ders.push(...(sampleDer === undefined ? [] : [sampleDer]), certificateDer, ...chainDer.slice(0, -1));
    }
    const unique = ders.filter(
      (der, index) => ders.findIndex((other) => Buffer.compare(other, der) === 0) === index,
    );
    bundles.push({
      rootSha256Hex,
      rootPem: derToPem('CERTIFICATE', rootDer),
      pem: [...unique, rootDer].map((der) => derToPem('CERTIFICATE', der)).join(''),
      issuerIds: below.map(({ issuerId }) => issuerId),
      hasLeaves,
    });
  }
  return bundles;
}
