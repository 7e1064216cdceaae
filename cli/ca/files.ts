/** Reading and writing files for the commands about the CA; every failure is one sentence. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isSealwrightError } from '../../shared/errors.ts';
import { type ChainFile, readChainFile } from '../../shared/pki/chain-file.ts';
import { pemToDers } from '../../shared/pki/pem.ts';
import { CommandFailure, UsageError } from '../failure.ts';

/** Throws `UsageError` for a file that is not there. */
export function readNamed(file: string, what: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`${what} ${file} cannot be read (${code ?? 'unknown reason'}).`, { cause: error });
  }
}

/** A new file; what exists is never overwritten. */
export function writeNew(file: string, content: string | Uint8Array): void {
  try {
    writeFileSync(file, content, { flag: 'wx' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(
      code === 'EEXIST'
        ? `${file} exists already and is not overwritten; choose another name.`
        : `${file} cannot be written (${code ?? 'unknown reason'}).`,
      { cause: error },
    );
  }
}

/** Whole or not at all. */
export function replaceFile(file: string, content: string | Uint8Array): void {
  writeFileSync(`${file}.new`, content);
  renameSync(`${file}.new`, file);
}

/** Certificates and, where it has one, the private key of a file; asks for the password only where one is needed. */
export async function openChainFile(file: string, password: () => Promise<string>): Promise<ChainFile> {
  const bytes = readNamed(file, 'The file');
  try {
    return readChainFile(bytes);
  } catch (error) {
    if (!isSealwrightError(error) || error.details?.['problem'] !== 'password-missing')
      throw named(file, error);
  }
  const given = await password();
  try {
    return readChainFile(bytes, given);
  } catch (error) {
    throw named(file, error);
  }
}

function named(file: string, error: unknown): unknown {
  if (!isSealwrightError(error)) return error;
  const problem = error.details?.['problem'];
  return new CommandFailure(typeof problem === 'string' ? problem : error.code, `${file}: ${error.message}`, {
    cause: error,
  });
}

/** A CRL as DER, or PEM as some tools save it. */
export function crlBytes(bytes: Buffer): Uint8Array {
  const [first] = pemToDers(bytes.toString('latin1'), 'X509 CRL');
  return first ?? new Uint8Array(bytes);
}
