import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { TrustSigner } from '../../shared/audit/trail-checker.ts';
import { KEY_PURPOSE_OIDS } from '../../shared/pki/oids.ts';
import { UsageError } from '../failure.ts';

/** The root certificate of a PEM file. Throws `UsageError` for a file that holds no self-signed CA certificate. */
export function readRoot(file: string): X509Certificate {
  let root: X509Certificate;
  try {
    root = new X509Certificate(readFileSync(file));
  } catch (error) {
    throw new UsageError(`The root ${file} cannot be read as a PEM certificate.`, { cause: error });
  }
  if (root.ca && root.checkIssued(root) && root.verify(root.publicKey)) return root;
  throw new UsageError(`The certificate in ${file} is no root: it is not a CA's own, signed by itself.`);
}

/** Believes an audit signer whose issuer, certified by this root, made it; without a root, whoever issued it is taken. */
export const trustUpTo =
  (root: X509Certificate | undefined): TrustSigner =>
  (signerCertificate, chainDer, at) => {
    const signer = new X509Certificate(signerCertificate.certificateDer);
    const issuer = chainDer
      .map((der) => new X509Certificate(der))
      .find((candidate) => signer.checkIssued(candidate) && signer.verify(candidate.publicKey));
    if (issuer === undefined) return "its signer's issuer is not with it, or did not make it";
    if (!signer.keyUsage?.includes(KEY_PURPOSE_OIDS.documentSigning))
      return 'its signer is certified for something else';
    if (at < signer.validFromDate || at > signer.validToDate) return 'its signer was not valid then';
    if (root === undefined) return undefined;
    const leads = root.raw.equals(issuer.raw) || (issuer.checkIssued(root) && issuer.verify(root.publicKey));
    return leads ? undefined : 'its signer does not lead to the root given';
  };
