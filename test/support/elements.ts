/** Cutting DER without any of the product's code: the second parser where OpenSSL's program would be started too often. */

export interface Element {
  readonly tag: number;
  readonly content: Buffer;
  readonly whole: Buffer;
}

/** What these bytes hold, one after the other (X.690 §8.1). Throws a `RangeError` for bytes that end too early. */
export function elements(der: Buffer = Buffer.of()): readonly Element[] {
  const found: Element[] = [];
  for (let rest = der; rest.length > 0; ) {
    const lengthBytes = (rest[1] ?? 0) < 0x80 ? 0 : (rest[1] ?? 0) & 0x7f;
    const start = 2 + lengthBytes;
    if (lengthBytes > 4 || rest.length < start) throw new RangeError('These bytes are no DER.');
    const end = start + (lengthBytes === 0 ? (rest[1] ?? 0) : rest.readUIntBE(2, lengthBytes));
    if (rest.length < end) throw new RangeError('These bytes end in the middle of an element.');
    found.push({ tag: rest[0] ?? 0, content: rest.subarray(start, end), whole: rest.subarray(0, end) });
    rest = rest.subarray(end);
  }
  return found;
}

export interface ListedSerials {
  readonly thisUpdate: Date;
  /** Lower-case hex, as DER has them. */
  readonly serials: readonly string[];
}

/** The serials that a CRL lists (RFC 5280 §5.1), in its order. */
export function listedSerials(crlDer: Uint8Array): ListedSerials {
  const [list] = elements(Buffer.from(crlDer));
  const [tbs] = elements(list?.content);
  const [, , , thisUpdate, , revoked] = elements(tbs?.content);
  const entries = revoked?.tag === 0x30 ? elements(revoked.content) : [];
  return {
    thisUpdate: timeOf(thisUpdate),
    serials: entries.map(({ content }) => elements(content)[0]?.content.toString('hex') ?? ''),
  };
}

/** UTCTime for years before 2050, GeneralizedTime from then on (RFC 5280 §5.1.2.4). */
function timeOf(time: Element | undefined): Date {
  const text = `${time?.tag === 0x17 ? '20' : ''}${time?.content.toString('latin1') ?? ''}`;
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)?.slice(1).map(Number);
  if (parts === undefined) throw new RangeError(`"${text}" is no time of a CRL.`);
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  return new Date(Date.UTC(year, month - 1, day, hour, minute, second));
}
