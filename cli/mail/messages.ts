/** Taking files of old mail apart into messages: .eml holds one, mbox (RFC 4155) any number. */
import { constants } from 'node:buffer';
import PostalMime from 'postal-mime';
import { type RecipientName, recipientsOf } from '../../shared/pki/cms-recipients.ts';
import { DerError } from '../../shared/pki/der-reader.ts';
import { UsageError } from '../failure.ts';

/**
 * A message is worked on as one string, whose line ends may make it twice as long; Gmail takes 150 MB.
 * https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages/insert
 */
const LONGEST_MESSAGE_BYTES = Math.floor(constants.MAX_STRING_LENGTH / 2);

const [CR, LF] = [0x0d, 0x0a];

/**
 * Each message with CR LF line ends, as Gmail and S/MIME want them. A file may be longer than a string of Node; a message may not:
 * throws a `UsageError`.
 */
export function messagesIn(file: Buffer, longest = LONGEST_MESSAGE_BYTES): readonly Buffer[] {
  if (!file.subarray(0, 'From '.length).equals(Buffer.from('From '))) {
    const text = textOf(file, longest);
    return text.trim() === '' ? [] : [Buffer.from(text, 'latin1')];
  }
  // One after the other: all of them as strings at once would take several times the file.
  return piecesOf(file).flatMap((piece) => {
    const text = textOf(piece, longest);
    const lineEnd = text.indexOf('\r\n');
    const message = lineEnd < 0 ? '' : text.slice(lineEnd + 2).replace(/^>(>*From )/gm, '$1');
    if (message.trim() === '') return [];
    return [Buffer.from(message.endsWith('\r\n') ? message : `${message}\r\n`, 'latin1')];
  });
}

/** The bytes from each "From " line up to the empty line before the next; ">From " inside is quoted (mboxrd). */
function piecesOf(file: Buffer): readonly Buffer[] {
  const pieces: Buffer[] = [];
  let start = 0;
  for (let at = file.indexOf('From ', 1); at >= 0; at = file.indexOf('From ', at + 1)) {
    const end = emptyLineBefore(file, at);
    if (end === undefined || !isFromLine(file, at)) continue;
    pieces.push(file.subarray(start, end));
    start = at;
  }
  return [...pieces, file.subarray(start)];
}

/** Where the line end begins that an empty line before `at` follows. */
function emptyLineBefore(file: Buffer, at: number): number | undefined {
  const emptyLine = lineEndBefore(file, at);
  return emptyLine === undefined ? undefined : lineEndBefore(file, emptyLine);
}

function lineEndBefore(file: Buffer, at: number): number | undefined {
  const last = file[at - 1];
  if (last === LF) return file[at - 2] === CR ? at - 2 : at - 1;
  return last === CR ? at - 1 : undefined;
}

/** It has a year and is a whole line. A sender and a date are not longer than that. */
const isFromLine = (file: Buffer, at: number): boolean =>
  /^From [^\r\n]*\d{4}\b[^\r\n]*[\r\n]/.test(file.toString('latin1', at, at + 2_000));

function textOf(piece: Buffer, longest: number): string {
  if (piece.length > longest) {
    throw new UsageError(
      `A message of ${piece.length} bytes is more than can be imported (${longest}). If the file holds several, it is no mbox as RFC 4155 has it: split it.`,
    );
  }
  return piece.toString('latin1').replace(/\r\n|\r|\n/g, '\r\n');
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
