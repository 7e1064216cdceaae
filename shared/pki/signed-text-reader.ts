/** Reads what `signed-text.ts` writes, sharing no code with it, and says whether its signature holds. */
import { createHash, createPublicKey, verify } from 'node:crypto';
import { SIGNATURE_ALGORITHMS, signatureAlgorithmOf } from './algorithm.ts';
import { type Certificate, readCertificate } from './certificate.ts';
import {
  type DerCursor,
  DerError,
  type Element,
  inside,
  integerHex,
  readOid,
  readTime,
  readWhole,
  sameBytes,
} from './der-reader.ts';

export interface SignedText {
  readonly text: string;
  readonly signer: Certificate;
  /** The other certificates inside, DER. */
  readonly chainDer: readonly Uint8Array[];
  readonly signingTime: Date;
}

/**
 * The text and who signed it, once digest and signature are right. Whether the signer may be trusted is for the caller to
 * say. Throws `DerError` for bytes that are no such SignedData, and for one that does not verify.
 */
export function readSignedText(signedDer: Uint8Array): SignedText {
  const info = inside(readWhole(signedDer, 'SEQUENCE', 'the signed text'));
  if (readOid(info.next()) !== '1.2.840.113549.1.7.2') throw new DerError('it is no SignedData', 0);
  const signedData = inside(inside(tagged(info, 'the SignedData')).take('SEQUENCE'));
  info.end('the signed text');
  signedData.take('INTEGER');
  signedData.take('SET');
  const encapsulated = inside(signedData.take('SEQUENCE'));
  readOid(encapsulated.next());
  const content = inside(tagged(encapsulated, 'the text')).take('OCTET STRING').content;
  const certificates = readAll(tagged(signedData, 'the list of certificates')).map(readCertificate);
  const signers = inside(signedData.take('SET'));
  const signerInfo = inside(signers.take('SEQUENCE'));
  signers.end('the list of signers');

  signerInfo.take('INTEGER');
  const name = inside(signerInfo.take('SEQUENCE'));
  const issuerDer = name.take('SEQUENCE').der;
  const serialHex = integerHex(name.take('INTEGER'));
  signerInfo.take('SEQUENCE');
  const attributes = tagged(signerInfo, 'the list of signed attributes');
  const algorithm = signatureAlgorithmOf(signerInfo.take('SEQUENCE').der);
  const signature = signerInfo.take('OCTET STRING').content;
  const signer = certificates.find(
    (candidate) => candidate.serialHex === serialHex && sameBytes(candidate.issuerDer, issuerDer),
  );
  if (signer === undefined) throw new DerError("the signer's certificate is not inside", 0);
  if (algorithm === undefined) throw new DerError('the signature algorithm is not one of ours', 0);

  const { hash } = SIGNATURE_ALGORITHMS[algorithm];
  const values = attributeValues(attributes);
  const digest = values.get('1.2.840.113549.1.9.4')?.content;
  const signingTime = values.get('1.2.840.113549.1.9.5');
  if (digest === undefined || signingTime === undefined)
    throw new DerError('a signed attribute is missing', 0);
  if (!sameBytes(digest, createHash(hash).update(content).digest()))
    throw new DerError('the text is not what was signed: its digest is another', 0);
  const signedAttributes = Uint8Array.from(attributes.der);
  signedAttributes[0] = 0x31;
  const key = createPublicKey({ key: Buffer.from(signer.spkiDer), format: 'der', type: 'spki' });
  if (!verify(hash, signedAttributes, key, signature)) throw new DerError('the signature does not verify', 0);
  return {
    text: new TextDecoder('utf-8', { fatal: true }).decode(content),
    signer,
    chainDer: certificates
      .filter((candidate) => candidate !== signer)
      .map(({ certificateDer }) => certificateDer),
    signingTime: readTime(signingTime).at,
  };
}

function tagged(cursor: DerCursor, what: string): Element {
  const element = cursor.takeIf(0xa0);
  if (element === undefined) throw new DerError(`${what} is missing`, cursor.offset);
  return element;
}

function readAll(element: Element): readonly Uint8Array[] {
  const cursor = inside(element);
  const all: Uint8Array[] = [];
  while (!cursor.atEnd) all.push(cursor.take('SEQUENCE').der);
  return all;
}

/** The one value of each attribute, by type. */
function attributeValues(attributes: Element): ReadonlyMap<string, Element> {
  const values = new Map<string, Element>();
  const cursor = inside(attributes);
  while (!cursor.atEnd) {
    const attribute = inside(cursor.take('SEQUENCE'));
    const type = readOid(attribute.next());
    values.set(type, inside(attribute.take('SET')).next());
  }
  return values;
}
