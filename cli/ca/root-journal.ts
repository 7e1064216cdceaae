/**
 * What the root's key signs, in the folder where the key is: the root is offline and has no ledger, so each certificate and CRL is
 * written down here, to the byte and through to the disk, before the key is used, and its signature after. One JSON object a line.
 */
import { verify } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { SIGNATURE_ALGORITHMS } from '../../shared/pki/algorithm.ts';
import { readTbsCertificate, sha256Hex } from '../../shared/pki/certificate.ts';
import { crlNumberOf, readCrlHeader } from '../../shared/pki/crl-reader.ts';
import { DerError } from '../../shared/pki/der-reader.ts';
import type { Signer } from '../../shared/pki/signer.ts';
import { CommandFailure } from '../failure.ts';

interface Intended {
  readonly at: string;
  /** "certificate 5e4d…", "CRL 3". */
  readonly intends: string;
  /** Of the to-be-signed bytes. */
  readonly sha256: string;
  readonly tbs: string;
}

interface Signed {
  readonly at: string;
  /** SHA-256 of what was intended. */
  readonly signed: string;
  readonly signature: string;
}

/** The same signer, which signs nothing before it is in the journal. Throws `CommandFailure` where that cannot be written. */
export function journalled(signer: Signer, file: string, now: () => Date = () => new Date()): Signer {
  const { algorithm, spkiDer } = signer;
  return {
    algorithm,
    spkiDer,
    sign: async (bytes, verification) => {
      const sha256 = sha256Hex(bytes);
      append(file, {
        ...{ at: now().toISOString(), intends: named(bytes), sha256 },
        tbs: Buffer.from(bytes).toString('base64'),
      } satisfies Intended);
      const written = lastIntended(file);
      const signature = await signer.sign(bytes, verification);
      const key = { key: Buffer.from(spkiDer), format: 'der', type: 'spki' } as const;
      if (!verify(SIGNATURE_ALGORITHMS[algorithm].hash, written, key, signature))
        throw new Error('bug: the root signed something else than its journal says');
      append(file, {
        ...{ at: now().toISOString(), signed: sha256, signature: Buffer.from(signature).toString('base64') },
      } satisfies Signed);
      return signature;
    },
  };
}

/** What was to be signed and has no signature here: a command died in between, and whether it exists nobody knows. */
export function unfinished(file: string): readonly string[] {
  if (!existsSync(file)) return [];
  const open = new Map<string, string>();
  for (const line of linesOf(file)) {
    if ('intends' in line) open.set(line.sha256, `${line.intends}, to be signed at ${line.at}`);
    else open.delete(line.signed);
  }
  return [...open.values()];
}

function lastIntended(file: string): Uint8Array {
  const last = linesOf(file).at(-1);
  if (last === undefined || !('intends' in last))
    throw new CommandFailure(
      'root-journal-unreadable',
      `${file} does not hold what was just written there; nothing was signed. Look at the medium.`,
    );
  return Buffer.from(last.tbs, 'base64');
}

/** A line that was cut short by a power failure stands for nothing: its key use had not begun. */
const linesOf = (file: string): readonly (Intended | Signed)[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line): readonly (Intended | Signed)[] => {
      try {
        return [JSON.parse(line)];
      } catch {
        return [];
      }
    });

function append(file: string, line: Intended | Signed): void {
  try {
    const isBegun = existsSync(file) && !readFileSync(file, 'utf8').endsWith('\n');
    const handle = openSync(file, 'a', 0o600);
    try {
      writeSync(handle, `${isBegun ? '\n' : ''}${JSON.stringify(line)}\n`);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CommandFailure(
      'root-journal-unwritable',
      `${file} cannot be written (${code ?? 'unknown reason'}), and the root's key signs nothing that is not written down there first. Make the folder writable.`,
      { cause: error },
    );
  }
}

function named(tbsDer: Uint8Array): string {
  try {
    return `certificate ${readTbsCertificate(tbsDer).serialHex}`;
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return `CRL ${crlNumberOf(readCrlHeader(tbsDer)) ?? 'without a number'}`;
  }
}
