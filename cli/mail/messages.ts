/** Taking files of old mail apart into messages: .eml holds one, mbox (RFC 4155) any number. */
import PostalMime from 'postal-mime';
import { type RecipientName, recipientsOf } from '../../shared/pki/cms-recipients.ts';
import { DerError } from '../../shared/pki/der-reader.ts';

/** Each message with CR LF line ends, as Gmail and S/MIME want them. */
export function messagesIn(file: Buffer): readonly Buffer[] {
  const text = file.toString('latin1').replace(/\r\n|\r|\n/g, '\r\n');
  if (!text.startsWith('From ')) return text.trim() === '' ? [] : [Buffer.from(text, 'latin1')];
  // A message begins at a "From " line that is the first or follows an empty one; ">From " inside is quoted (mboxrd).
  return text
    .slice('From '.length)
    .split(/\r\n\r\nFrom (?=[^\r\n]*\d{4}\b[^\r\n]*\r\n)/)
    .map((piece) => piece.slice(piece.indexOf('\r\n') + 2))
    .map((message) => message.replace(/^>(>*From )/gm, '$1'))
    .filter((message) => message.trim() !== '')
    .map((message) => Buffer.from(message.endsWith('\r\n') ? message : `${message}\r\n`, 'latin1'));
}

export interface MessageFacts {
  readonly messageId: string | undefined;
  readonly subject: string | undefined;
  readonly date: string | undefined;
  /** Why it is not imported, as a sentence; absent for an encrypted S/MIME message. */
  readonly unfit?: string;
  /** Whom an encrypted message is encrypted to; empty where that cannot be read. */
  readonly recipients: readonly RecipientName[];
}

/** Only encrypted S/MIME is imported: Gmail shows it as client-side encrypted, and nothing plain goes in by accident. */
export async function factsOf(message: Buffer): Promise<MessageFacts> {
  const { headers, messageId, subject, date, attachments } = await PostalMime.parse(message);
  const contentType = headers.find(({ key }) => key === 'content-type')?.value ?? 'text/plain';
  const facts = { messageId, subject, date, recipients: [] };
  if (!headers.some(({ key }) => key === 'from')) return { ...facts, unfit: 'it has no From header' };
  if (!/^application\/(x-)?pkcs7-mime\b/i.test(contentType))
    return { ...facts, unfit: 'it is not encrypted S/MIME' };
  if (/smime-type="?(signed|certs-only|compressed)/i.test(contentType))
    return { ...facts, unfit: 'it is S/MIME and not encrypted' };
  const content = attachments[0]?.content;
  return {
    ...facts,
    recipients: content instanceof ArrayBuffer ? readRecipients(new Uint8Array(content)) : [],
  };
}

function readRecipients(content: Uint8Array): readonly RecipientName[] {
  try {
    return recipientsOf(content);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return [];
  }
}
