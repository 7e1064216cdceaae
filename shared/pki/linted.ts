/**
 * To-be-signed bytes that passed the linter: the only thing that certificates, CRLs and OCSP answers are signed from. There
 * is no way to make one but to lint, the bytes are a copy that nobody else can change afterwards, and it is good for one
 * signature. That the bytes are recorded first is the part of whoever asks: `authority/` reads them back from the ledger.
 */
import { assertLintClean, type Finding } from './finding.ts';
import type { Signer } from './signer.ts';

export class Linted {
  readonly #tbsDer: Uint8Array;
  #spent = false;

  private constructor(tbsDer: Uint8Array) {
    this.#tbsDer = tbsDer;
  }

  /** `lint` is given the copy that will be signed. Throws `lint-failed` (permanent) naming each broken rule. */
  static by(lint: (tbsDer: Uint8Array) => readonly Finding[], tbsDer: Uint8Array, subject: string): Linted {
    const copy = Uint8Array.from(tbsDer);
    assertLintClean(lint(copy), subject);
    return new Linted(copy);
  }

  /** Signs these bytes. Throws as the signer; a plain `Error` the second time, which is a bug of the caller. */
  async sign(signer: Signer): Promise<Uint8Array> {
    if (this.#spent) throw new Error('These bytes were signed already: lint them again to sign them again.');
    this.#spent = true;
    return await signer.sign(this.#tbsDer);
  }
}
