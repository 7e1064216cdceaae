import { type GenerateKey, generateRsaKey, type RsaKey } from '../../../shared/pki/key.ts';
import { type Saved, stateCell } from './state.ts';

/** A few RSA-2048 keys, handed out in turn as copies, because whoever gets one wipes it. */
export interface KeyPool extends Saved {
  readonly keys: readonly RsaKey[];
  readonly generateKey: GenerateKey;
}

export async function keyPool(size = 5): Promise<KeyPool> {
  const keys = await Promise.all(Array.from({ length: size }, () => generateRsaKey(2048)));
  const cell = stateCell({ drawn: 0 });
  return {
    keys,
    save: cell.save,
    generateKey: async (modulusBits) => {
      const key = keys[cell.now.drawn % keys.length];
      cell.now.drawn += 1;
      if (key === undefined || modulusBits !== 2048)
        throw new Error(`The pool has no RSA-${modulusBits} key.`);
      return { pkcs8Der: Uint8Array.from(key.pkcs8Der), spkiDer: Uint8Array.from(key.spkiDer) };
    },
  };
}
