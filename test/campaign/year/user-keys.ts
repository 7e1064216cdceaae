/**
 * Where the functions' process of a year takes users' keys from when it is told to: made of the primes of a few keys, which takes a
 * millisecond instead of sixty. One in twenty is a key of its own, made as the product makes all.
 */
import { type GenerateKey, generateRsaKey } from '../../../shared/pki/key.ts';
import { keyPoolOfPairs } from '../../support/fakes/key-pool.ts';

/** What a company of two hundred needs in a year; whoever needs more gets keys of their own. */
const KEYS = 600;
const ONE_OF_ITS_OWN_IN = 20;

const pool = keyPoolOfPairs(KEYS);
let asked = 0;

export const generateKey: GenerateKey = async (modulusBits) => {
  asked += 1;
  const { drawn, generateKey: draw } = await pool;
  const isOfItsOwn = asked % ONE_OF_ITS_OWN_IN === 1 || drawn >= KEYS;
  return await (isOfItsOwn ? generateRsaKey : draw)(modulusBits);
};
