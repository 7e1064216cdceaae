/**
 * Certification requests (PKCS#10, RFC 2986) for an issuing CA whose certificate another CA signs. The request says what
 * the certificate must have for Gmail's sake; the other CA may know better in everything else.
 */
import { permanent } from '../errors.ts';
import { SIGNATURE_ALGORITHMS } from './algorithm.ts';
import { bitString, contextConstructed, integer, oid, sequence, setOfOne } from './der.ts';
import { type CaSubject, encodeCaSubject } from './name.ts';
import { ISSUING } from './profile.ts';
import { signable } from './signable.ts';
import type { Signer } from './signer.ts';
import { encodeExtensions } from './tbs.ts';

/** PKCS#9 extensionRequest, RFC 2985 §5.4.2. */
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const REQUESTED = ['basicConstraints', 'keyUsage', 'extKeyUsage'] as const;

/**
 * DER of a CertificationRequest, signed with the key it asks a certificate for. Throws as the signer, and
 * `settings-invalid` for a country that is none.
 */
export async function makeIssuingCsr(subject: CaSubject, signer: Signer): Promise<Uint8Array> {
  if (!/^[A-Z]{2}$/.test(subject.country))
    throw permanent('settings-invalid', `"${subject.country}" is not a country of two capital letters.`);
  const rows = ISSUING.extensions.value;
  const asked = {
    ...ISSUING,
    extensions: {
      ...ISSUING.extensions,
      value: Object.fromEntries(REQUESTED.map((name) => [name, rows[name] ?? 'not-critical'])),
    },
  };
  const extensions = encodeExtensions(asked, { subjectKeyIdentifier: new Uint8Array() }, false);
  const informationDer = sequence(
    integer(0),
    encodeCaSubject(subject),
    signer.spkiDer,
    contextConstructed(0, sequence(oid(EXTENSION_REQUEST), setOfOne(sequence(...extensions)))),
  );
  const algorithmDer = SIGNATURE_ALGORITHMS[signer.algorithm].der;
  return sequence(informationDer, algorithmDer, bitString(await signer.sign(signable(informationDer))));
}
