/**
 * The folder that is carried away: the root's key and the certificates to hand out.
 *
 * | file                      | holds                                              |
 * |---------------------------|----------------------------------------------------|
 * | `root.key.pem`            | the root's private key, encrypted; mode 0600       |
 * | `root.journal`            | what the root's key has signed (`root-journal.ts`)  |
 * | `trust/root.pem`          | the root certificate                               |
 * | `trust/root.crl`          | the root's last CRL, which the next one goes on from |
 * | `trust/issuing.pem`       | the issuing CA's certificate                       |
 * | `trust/admin-console.pem` | both, issuing first: what the Admin console takes  |
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { UsageError } from '../failure.ts';

/** More than any encrypted RSA-4096 key in PEM: a full disk shows before the CA is made, not after. */
const RESERVED_BYTES = 8_192;

export const ROOT_JOURNAL = 'root.journal';

export interface OfflineFolder {
  readonly journalFile: string;
  readonly keyFile: string;
  readonly rootFile: string;
  readonly adminConsoleFile: string;
  /** Writes the encrypted key through to the disk. */
  writeKey(pem: string): void;
  writeTrust(certificates: {
    readonly rootPem: string;
    readonly issuingPem: string;
    readonly rootCrlDer: Uint8Array;
  }): void;
  /** Removes the place that was kept for the key; for when no CA was made. */
  discard(): void;
}

/**
 * Takes the places of all files before anything is made. Throws `UsageError` when one of them exists already (a root
 * key is never overwritten) or the folder cannot be written.
 */
export function openOfflineFolder(folder: string): OfflineFolder {
  const root = resolve(folder);
  const keyFile = join(root, 'root.key.pem');
  const journalFile = join(root, ROOT_JOURNAL);
  const trust = join(root, 'trust');
  const rootFile = join(trust, 'root.pem');
  const rootCrlFile = join(trust, 'root.crl');
  const issuingFile = join(trust, 'issuing.pem');
  const adminConsoleFile = join(trust, 'admin-console.pem');
  for (const file of [keyFile, journalFile, rootFile, rootCrlFile, issuingFile, adminConsoleFile]) {
    if (existsSync(file)) throw alreadyThere(file);
  }
  const made = [makeFolder(root, 0o700), makeFolder(trust, 0o755)];
  const handle = reserve(keyFile);
  return {
    journalFile,
    keyFile,
    rootFile,
    adminConsoleFile,
    writeKey(pem) {
      writeWhole(handle, pem);
      closeSync(handle);
    },
    writeTrust({ rootPem, issuingPem, rootCrlDer }) {
      writeFileSync(rootFile, rootPem, { flag: 'wx' });
      writeFileSync(rootCrlFile, rootCrlDer, { flag: 'wx' });
      writeFileSync(issuingFile, issuingPem, { flag: 'wx' });
      writeFileSync(adminConsoleFile, `${issuingPem}${rootPem}`, { flag: 'wx' });
    },
    discard() {
      closeSync(handle);
      unlinkSync(keyFile);
      // Of a root whose key is gone.
      rmSync(journalFile, { force: true });
      // What was there before stays.
      if (made[1]) rmdirSync(trust);
      if (made[0]) rmdirSync(root);
    },
  };
}

/** Answers whether it was made now. */
function makeFolder(folder: string, mode: number): boolean {
  try {
    return mkdirSync(folder, { recursive: true, mode }) !== undefined;
  } catch (error) {
    throw unwritable(folder, error);
  }
}

function reserve(keyFile: string): number {
  try {
    // Exclusive: two runs at once cannot both believe that the file is theirs.
    const handle = openSync(keyFile, 'wx', 0o600);
    try {
      writeWhole(handle, '\n'.repeat(RESERVED_BYTES));
    } catch (error) {
      closeSync(handle);
      unlinkSync(keyFile);
      throw error;
    }
    return handle;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw alreadyThere(keyFile);
    throw unwritable(keyFile, error);
  }
}

function unwritable(path: string, error: unknown): UsageError {
  const { code } = error as NodeJS.ErrnoException;
  return new UsageError(
    `${path} cannot be written (${code ?? 'unknown reason'}). Choose another folder for --offline.`,
    {
      cause: error,
    },
  );
}

/** Over what is there, and then cut to length, so that reserved room is used and not asked for again. */
function writeWhole(handle: number, text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  let written = 0;
  while (written < bytes.length) {
    written += writeSync(handle, bytes, written, bytes.length - written, written);
  }
  ftruncateSync(handle, bytes.length);
  fsyncSync(handle);
}

function alreadyThere(file: string): UsageError {
  return new UsageError(
    readFileSync(file, 'utf8').trim() === ''
      ? `${file} is empty: an earlier run was broken off before it made a CA. Delete it and start again.`
      : `${file} exists already and is never overwritten. Choose another folder, or move the old CA's files away first.`,
  );
}
