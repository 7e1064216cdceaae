/**
 * Unpacks the tar archive that PGlite's `dumpDataDir` writes (ustar, POSIX.1-1988: 512-byte blocks, plain files and
 * folders, paths of at most 100 bytes). Not a general tar reader: it knows what `build-snapshot.ts` makes and refuses the rest.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const BLOCK = 512;

const text = (header: Buffer, start: number, length: number): string => {
  const bytes = header.subarray(start, start + length);
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end === -1 ? length : end);
};

/** Writes every file of `tar` below `folder`, which is created. Throws for an archive it does not understand. */
export const unpackTar = (tar: Buffer, folder: string): void => {
  for (let offset = 0; offset + BLOCK <= tar.length; ) {
    const header = tar.subarray(offset, offset + BLOCK);
    const name = text(header, 0, 100);
    if (name === '') return;
    const size = Number.parseInt(text(header, 124, 12).trim() || '0', 8);
    const type = text(header, 156, 1);
    const path = normalize(join('/', name));
    if (type === '5') {
      mkdirSync(join(folder, path), { recursive: true });
    } else if (type === '0' || type === '') {
      if (!Number.isSafeInteger(size) || offset + BLOCK + size > tar.length) {
        throw new Error(`the ledger's snapshot ends in the middle of ${name}: fetch it again`);
      }
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), tar.subarray(offset + BLOCK, offset + BLOCK + size));
    } else {
      throw new Error(
        `the ledger's snapshot holds an entry of type ${type} (${name}), which nothing here makes`,
      );
    }
    offset += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
};
