/**
 * Whom an encrypted message is for: the RecipientInfos of EnvelopedData (RFC 5652 §6.1) and AuthEnvelopedData (RFC 5083 §2.1),
 * without opening anything. BER is read too, because most programs write it.
 */
import { derFromBer } from './ber.ts';
import { type DerCursor, DerError, type Element, inside, readOid, readWhole, toHex } from './der-reader.ts';
import { describeName, readName } from './name.ts';

const ENVELOPED_DATA = '1.2.840.113549.1.7.3';
const AUTH_ENVELOPED_DATA = '1.2.840.113549.1.9.16.1.23';
const SUBJECT_KEY_IDENTIFIER = '2.5.29.14';

/** How a message names a certificate; two texts are equal exactly where they mean the same. */
export interface RecipientName {
  readonly id: string;
  /** For people. */
  readonly text: string;
}

/**
 * Recipients by public key; passwords and shared keys are passed over. Throws `DerError` for bytes that are neither kind of
 * encrypted content.
 */
export function recipientsOf(content: Uint8Array): readonly RecipientName[] {
  const info = inside(readWhole(derFromBer(content), 'SEQUENCE', 'the message'));
  const type = readOid(info.next());
  if (type !== ENVELOPED_DATA && type !== AUTH_ENVELOPED_DATA) throw new DerError('it is not encrypted', 0);
  const wrapper = info.takeIf(0xa0);
  if (wrapper === undefined) throw new DerError('the encrypted content is missing', 0);
  const data = inside(inside(wrapper).take('SEQUENCE'));
  data.take('INTEGER');
  data.takeIf(0xa0); // originatorInfo
  const infos = inside(data.take('SET'));
  const found: RecipientName[] = [];
  while (!infos.atEnd) found.push(...namesIn(infos.next()));
  return found;
}

function namesIn(info: Element): readonly RecipientName[] {
  const body = inside(info);
  if (info.tag === 0x30) {
    body.take('INTEGER');
    return [nameOf(body.next(), 0x80)];
  }
  // KeyAgreeRecipientInfo: version, originator, ukm, algorithm, then RecipientEncryptedKeys.
  if (info.tag !== 0xa1) return [];
  let keys: Element | undefined;
  while (!body.atEnd) keys = body.next();
  if (keys === undefined) return [];
  const list = inside(keys);
  const names: RecipientName[] = [];
  while (!list.atEnd) names.push(nameOf(inside(list.take('SEQUENCE')).next(), 0xa0));
  return names;
}

/** IssuerAndSerialNumber, or a subject key identifier under its tag. */
function nameOf(element: Element, keyIdTag: 0x80 | 0xa0): RecipientName {
  if (element.tag === 0x30) {
    const body = inside(element);
    return issuerAndSerial(body.take('SEQUENCE').der, body.take('INTEGER').content);
  }
  if (element.tag !== keyIdTag) throw new DerError('a recipient is named in no known way', element.offset);
  return keyId(keyIdTag === 0x80 ? element.content : inside(element).take('OCTET STRING').content);
}

const keyId = (identifier: Uint8Array): RecipientName => ({
  id: `key ${toHex(identifier)}`,
  text: `key id ${toHex(identifier)}`,
});

const issuerAndSerial = (issuerDer: Uint8Array, serial: Uint8Array): RecipientName => ({
  id: `certificate ${toHex(issuerDer)} ${toHex(serial)}`,
  text: `serial ${toHex(serial)} of ${issuerText(issuerDer)}`,
});

function issuerText(issuerDer: Uint8Array): string {
  try {
    return `"${describeName(readName(issuerDer))}"`;
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return 'an issuer whose name cannot be read';
  }
}

/** Every way in which a message may name this certificate (RFC 5652 §6.2.1). Throws `DerError`. */
export function recipientNames(certificateDer: Uint8Array): readonly RecipientName[] {
  const certificate = inside(readWhole(derFromBer(certificateDer), 'SEQUENCE', 'the certificate'));
  const body = inside(certificate.take('SEQUENCE'));
  body.takeIf(0xa0); // version
  const serial = body.take('INTEGER').content;
  body.take('SEQUENCE'); // signature algorithm
  const issuer = body.take('SEQUENCE').der;
  const identifier = subjectKeyIdentifier(body);
  return [issuerAndSerial(issuer, serial), ...(identifier === undefined ? [] : [keyId(identifier)])];
}

function subjectKeyIdentifier(body: DerCursor): Uint8Array | undefined {
  let extensions: Element | undefined;
  while (!body.atEnd) {
    const element = body.next();
    if (element.tag === 0xa3) extensions = element;
  }
  if (extensions === undefined) return undefined;
  const list = inside(inside(extensions).take('SEQUENCE'));
  while (!list.atEnd) {
    const extension = inside(list.take('SEQUENCE'));
    const type = readOid(extension.next());
    extension.takeIf(0x01);
    const value = extension.take('OCTET STRING').content;
    if (type === SUBJECT_KEY_IDENTIFIER) return readWhole(value, 'OCTET STRING', 'the key id').content;
  }
  return undefined;
}
