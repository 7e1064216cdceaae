/**
 * Bytes that are recorded and passed the linter: the only thing that certificates, CRLs and OCSP answers are signed from. There is
 * no way to one but from recorded bytes (`Recorded`, which it uses up) and through the linter; the bytes are a copy that nobody
 * else can change afterwards, and it is good for one signature.
 */
import { type Recorded, type RecordedParts, spendRecorded, spendRecordedParts } from '../domain/recorded.ts';
import { whole } from './crl-parts.ts';
import { assertLintClean, type Finding } from './finding.ts';
import type { PartsVerification } from './parts-verification.ts';
import { signable, signableParts } from './signable.ts';
import type { Signer } from './signer.ts';

/** A private constructor is private to the compiler only. */
const MADE_HERE = Symbol('made here');

export class Linted {
  readonly #tbsDer: Uint8Array;
  #spent = false;

  private constructor(madeHere: symbol, tbsDer: Uint8Array) {
    if (madeHere !== MADE_HERE) throw new Error('bug: nothing is linted that the linter has not seen');
    this.#tbsDer = tbsDer;
  }

  /**
   * `lint` is given the copy that will be signed. Throws `lint-failed` (permanent) naming each broken rule; a plain `Error` for
   * bytes that are not recorded, or were given before.
   */
  static by(lint: (tbsDer: Uint8Array) => readonly Finding[], tbsDer: Recorded, subject: string): Linted {
    const copy = spendRecorded(tbsDer);
    assertLintClean(lint(copy), subject);
    return new Linted(MADE_HERE, copy);
  }

  /** Signs these bytes. Throws as the signer; a plain `Error` the second time, which is a bug of the caller. */
  async sign(signer: Signer, verification?: PartsVerification): Promise<Uint8Array> {
    if (this.#spent) throw new Error('These bytes were signed already: lint them again to sign them again.');
    this.#spent = true;
    return await signer.sign(signable(this.#tbsDer, verification), verification);
  }
}

/**
 * The same for recorded bytes that are never in memory as a whole. `lint` gives on each part after it has looked at it, unchanged, and throws
 * at the end, at the latest, if it has found something: a signer uses its key after the last part, and not when they throw.
 */
export async function signLintedParts(
  signer: Signer,
  tbsParts: RecordedParts,
  lint: (parts: AsyncIterable<Uint8Array>) => AsyncGenerator<Uint8Array>,
  verification?: PartsVerification,
): Promise<Uint8Array> {
  const parts = signableParts(lint(spendRecordedParts(tbsParts)), verification);
  return signer.signParts === undefined
    ? await signer.sign(signable(await whole(parts)))
    : await signer.signParts(parts, verification);
}
