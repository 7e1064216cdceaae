/**
 * A ZIP archive (PKWARE APPNOTE 6.3.10) whose bytes depend on nothing but the files in it: the platform deploys
 * what changed, and the same code must have the same name tomorrow. So all files have one date, one mode and an order.
 */
import { crc32, deflateRawSync } from 'node:zlib';

const LOCAL_FILE = 0x04034b50;
const CENTRAL_FILE = 0x02014b50;
const END_OF_CENTRAL_DIRECTORY = 0x06054b50;
const VERSION_2_0 = 20;
const MADE_BY_UNIX = (3 << 8) | VERSION_2_0;
const NAMES_ARE_UTF8 = 1 << 11;
const DEFLATE = 8;
/** The first day the format knows: 1980-01-01. */
const DATE = (1 << 5) | 1;
const REGULAR_FILE_0644 = 0o100644 * 0x10000;

/** Files by their names, which may hold slashes. Far from the limits of the old format (4 GiB, 65,535 files). */
export function zip(files: ReadonlyMap<string, Uint8Array>): Buffer {
  const contents: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, bytes] of [...files].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const deflated = deflateRawSync(bytes, { level: 9 });
    const nameBytes = Buffer.from(name, 'utf8');
    const common = Buffer.concat([
      uint16(VERSION_2_0, NAMES_ARE_UTF8, DEFLATE, 0, DATE),
      uint32(crc32(bytes), deflated.length, bytes.length),
      uint16(nameBytes.length, 0),
    ]);
    const file = Buffer.concat([uint32(LOCAL_FILE), common, nameBytes, deflated]);
    directory.push(
      Buffer.concat([
        uint32(CENTRAL_FILE),
        uint16(MADE_BY_UNIX),
        common,
        uint16(0, 0, 0),
        uint32(REGULAR_FILE_0644, offset),
        nameBytes,
      ]),
    );
    contents.push(file);
    offset += file.length;
  }
  const directoryBytes = Buffer.concat(directory);
  return Buffer.concat([
    ...contents,
    directoryBytes,
    uint32(END_OF_CENTRAL_DIRECTORY),
    uint16(0, 0, files.size, files.size),
    uint32(directoryBytes.length, offset),
    uint16(0),
  ]);
}

function uint16(...values: readonly number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 2);
  values.forEach((value, index) => {
    buffer.writeUInt16LE(value, index * 2);
  });
  return buffer;
}

function uint32(...values: readonly number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => {
    buffer.writeUInt32LE(value, index * 4);
  });
  return buffer;
}
