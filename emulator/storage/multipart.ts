import { invalid } from './refusals.ts';

export interface Part {
  readonly contentType: string | undefined;
  readonly bytes: Buffer;
}

const CRLF = '\r\n';

/**
 * The parts of a `multipart/related` body (RFC 2046 section 5.1, RFC 2387): an upload has exactly two, metadata as JSON
 * and then the content. Throws 400 for anything else.
 */
export function readMultipart(body: Buffer, contentType: string): readonly [Part, Part] {
  const boundary = boundaryOf(contentType);
  const delimiter = Buffer.from(`${CRLF}--${boundary}`);
  // The first delimiter may stand at the very beginning, without a line break before it.
  const text = Buffer.concat([Buffer.from(CRLF), body]);
  const parts: Part[] = [];
  let at = text.indexOf(delimiter);
  while (at >= 0) {
    const start = at + delimiter.length;
    if (text.toString('latin1', start, start + 2) === '--') {
      const [metadata, content, more] = parts;
      if (metadata === undefined || content === undefined || more !== undefined) break;
      return [metadata, content];
    }
    const next = text.indexOf(delimiter, start);
    if (next < 0) break;
    parts.push(readPart(text.subarray(start, next)));
    at = next;
  }
  throw invalid('A multipart upload must have two parts, metadata and content, and end with its boundary.');
}

function boundaryOf(contentType: string): string {
  const found = /^multipart\/related\s*;.*?\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType);
  const boundary = found?.[1] ?? found?.[2];
  if (boundary === undefined) {
    throw invalid('A multipart upload must have the content type multipart/related with a boundary.');
  }
  return boundary;
}

function readPart(part: Buffer): Part {
  const end = part.indexOf(CRLF + CRLF);
  if (end < 0) throw invalid('A part of the multipart upload has no blank line after its headers.');
  const headers = part.toString('latin1', 0, end).split(CRLF);
  const contentType = headers.find((header) => /^content-type:/i.test(header));
  return {
    contentType: contentType?.slice('content-type:'.length).trim(),
    bytes: part.subarray(end + 2 * CRLF.length),
  };
}
