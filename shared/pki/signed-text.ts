/**
 * A text signed as CMS SignedData (RFC 5652 §5) with the text and the signer's certificates inside, so that anybody's
 * tools read and verify it: `openssl cms -verify -inform DER -in FILE -CAfile root.pem -purpose any`.
 */
import { createHash } from 'node:crypto';
import { SIGNATURE_ALGORITHMS } from './algorithm.ts';
import { readCertificate } from './certificate.ts';
import {
  contextConstructed,
  integer,
  integerFromHex,
  octetString,
  oid,
  sequence,
  setOf,
  setOfOne,
  time,
} from './der.ts';
import { signable } from './signable.ts';
import type { Signer } from './signer.ts';
import { wholeSecond } from './validity.ts';

const CMS = {
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingTime: '1.2.840.113549.1.9.5',
} as const;

/** DigestAlgorithmIdentifier, parameters absent (RFC 5754 §2). */
const DIGESTS = {
  sha256: sequence(oid('2.16.840.1.101.3.4.2.1')),
  sha384: sequence(oid('2.16.840.1.101.3.4.2.2')),
  sha512: sequence(oid('2.16.840.1.101.3.4.2.3')),
} as const;

const attribute = (type: string, value: Uint8Array) => sequence(oid(type), setOfOne(value));

export interface TextToSign {
  /** UTF-8; signed octet for octet, line ends as they are. */
  readonly text: string;
  readonly signer: Signer;
  readonly signerCertificateDer: Uint8Array;
  /** Certificates above the signer's that verifiers may need, nearest first; the root may be left out. */
  readonly chainDer: readonly Uint8Array[];
  /** Written in whole seconds. */
  readonly signingTime: Date;
}

/** DER of ContentInfo. Throws `ca-key-unusable` (permanent) when the key cannot sign. */
export async function signText(request: TextToSign): Promise<Uint8Array> {
  const { signer, signerCertificateDer } = request;
  const { hash, der: signatureAlgorithm } = SIGNATURE_ALGORITHMS[signer.algorithm];
  const content = Buffer.from(request.text, 'utf8');
  const attributes = [
    attribute(CMS.contentType, oid(CMS.data)),
    attribute(CMS.signingTime, time(new Date(wholeSecond(request.signingTime.getTime())))),
    attribute(CMS.messageDigest, octetString(createHash(hash).update(content).digest())),
  ];
  // Signed as SET OF, embedded under [0] (RFC 5652 §5.4).
  const toBeSigned = setOf(attributes);
  const signature = await signer.sign(signable(toBeSigned));
  const { issuerDer, serialHex } = readCertificate(signerCertificateDer);
  const signerInfo = sequence(
    integer(1),
    sequence(issuerDer, integerFromHex(serialHex)),
    DIGESTS[hash],
    retagged(toBeSigned, 0xa0),
    signatureAlgorithm,
    octetString(signature),
  );
  return sequence(
    oid(CMS.signedData),
    contextConstructed(
      0,
      sequence(
        integer(1),
        setOfOne(DIGESTS[hash]),
        sequence(oid(CMS.data), contextConstructed(0, octetString(content))),
        contextConstructed(0, signerCertificateDer, ...request.chainDer),
        setOfOne(signerInfo),
      ),
    ),
  );
}

function retagged(der: Uint8Array, tag: number): Uint8Array {
  const copy = Uint8Array.from(der);
  copy[0] = tag;
  return copy;
}
