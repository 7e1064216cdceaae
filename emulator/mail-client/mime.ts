/** Just enough MIME (RFC 2045, 2046, 8551) to build and take apart S/MIME messages byte by byte. */
import { randomBytes } from 'node:crypto';
import { foldLines, isPlainText, parseHeaderValue } from 'nodemailer/lib/mime-funcs';
import { encode, wrap } from 'nodemailer/lib/qp';

const BASE64_LINE = 76;
const MAX_LINE = 998;

export interface Entity {
  /** Unfolded values by lower-case name; the first of each name. */
  readonly headers: ReadonlyMap<string, string>;
  /** The value of Content-Type without parameters, lower case; `text/plain` when there is none. */
  readonly contentType: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Every line end becomes CR LF, which is what S/MIME signs (RFC 8551 section 3.1.1). */
export const canonical = (bytes: Buffer): Buffer =>
  Buffer.from(bytes.toString('latin1').replace(/\r\n|\r|\n/g, '\r\n'), 'latin1');

export function readEntity(bytes: Buffer): Entity {
  const text = bytes.toString('latin1');
  const end = text.startsWith('\r\n') ? 0 : text.indexOf('\r\n\r\n');
  const head = end === -1 ? text : text.slice(0, end);
  const body = end === -1 ? Buffer.alloc(0) : bytes.subarray(end === 0 ? 2 : end + 4);
  const headers = new Map<string, string>();
  for (const line of head.replace(/\r\n[ \t]+/g, ' ').split('\r\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).trim().toLowerCase();
    if (colon > 0 && !headers.has(name)) headers.set(name, line.slice(colon + 1).trim());
  }
  const { value, params } = parseHeaderValue(headers.get('content-type') ?? 'text/plain');
  return { headers, contentType: String(value).toLowerCase(), parameters: params, body };
}

/** The parts of a multipart body, each byte for byte; the line end before a boundary belongs to the boundary. */
export function multipartParts(body: Buffer, boundary: string): readonly Buffer[] {
  const text = `\r\n${body.toString('latin1')}`;
  const delimiter = new RegExp(`\\r\\n--${boundary.replace(/\W/g, '\\$&')}(?=--|[ \\t]*\\r\\n)`);
  const pieces = text.split(delimiter);
  const closing = pieces.findIndex((piece, index) => index > 0 && piece.startsWith('--'));
  return pieces.slice(1, closing === -1 ? undefined : closing).map((piece) => {
    const start = piece.indexOf('\r\n') + 2; // white space may follow a boundary on its line
    return Buffer.from(piece.slice(start), 'latin1');
  });
}

/** The bytes of a part that is sent as base64, or as it is. Throws a sentence for any other encoding. */
export function decodedBody({ headers, body }: Entity): Buffer {
  const encoding = headers.get('content-transfer-encoding')?.toLowerCase() ?? '7bit';
  if (encoding === 'base64') return Buffer.from(body.toString('latin1'), 'base64');
  if (['7bit', '8bit', 'binary'].includes(encoding)) return body;
  throw new Error(`An S/MIME part in the transfer encoding ${encoding} is not supported.`);
}

/** A text/plain entity in UTF-8 that survives any mail server: ASCII as it stands, all else quoted-printable. */
export function textEntity(text: string): Buffer {
  const lines = text.replace(/\r\n|\r|\n/g, '\r\n');
  // Trailing blanks and lines that start with "From " are changed on the way by some servers.
  const isSafe =
    isPlainText(lines) &&
    lines.split('\r\n').every((line) => line.length <= MAX_LINE && !/^From |[ \t]$/.test(line));
  const encoding = isSafe ? '7bit' : 'quoted-printable';
  const body = isSafe ? lines : wrap(encode(lines)).replace(/^From /gm, '=46rom ');
  return Buffer.from(
    `Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${body}`,
  );
}

/** multipart/signed with a detached signature over `entity`, RFC 1847 and RFC 8551 section 3.5.3. */
export function clearSignedEntity(entity: Buffer, signature: Buffer): Buffer {
  const boundary = `smime-${randomBytes(18).toString('base64url')}`;
  return Buffer.concat([
    Buffer.from(
      `Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n micalg=sha-256; boundary="${boundary}"\r\n\r\nThis is a message signed with S/MIME.\r\n--${boundary}\r\n`,
    ),
    entity,
    Buffer.from(`\r\n--${boundary}\r\n`),
    base64Entity('application/pkcs7-signature; name="smime.p7s"', 'smime.p7s', signature),
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);
}

/** application/pkcs7-mime, RFC 8551 sections 3.3, 3.4 and 3.5.2. */
export const pkcs7MimeEntity = (
  type: 'enveloped-data' | 'authEnveloped-data' | 'signed-data',
  cms: Buffer,
): Buffer =>
  base64Entity(`application/pkcs7-mime; smime-type=${type};\r\n name="smime.p7m"`, 'smime.p7m', cms);

function base64Entity(contentType: string, file: string, content: Buffer): Buffer {
  const lines = content.toString('base64').match(new RegExp(`.{1,${BASE64_LINE}}`, 'g')) ?? [];
  return Buffer.from(
    `Content-Type: ${contentType}\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="${file}"\r\n\r\n${lines.join('\r\n')}`,
  );
}

/** One header line, folded. `value` must hold no line end. */
export const headerLine = (name: string, value: string): string => `${foldLines(`${name}: ${value}`)}\r\n`;
