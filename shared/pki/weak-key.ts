/**
 * Public keys that somebody else can turn into private ones, by faults that are known (S/MIME Baseline Requirements
 * 6.1.1.3: a CA refuses keys that are known to be weak). Everything here is read off the public key.
 *
 * Not covered: the Debian keys of 2008 (CVE-2008-0166), which take a list of fingerprints (docs/security.md).
 */
import { rememberingLast } from './last-read.ts';
import { modulusBits, readPublicKey } from './public-key.ts';

export type WeaknessId =
  | 'small-modulus'
  | 'even-modulus'
  | 'small-factor'
  | 'bad-exponent'
  | 'roca'
  | 'close-primes'
  | 'shared-modulus'
  | 'shared-prime';

export interface Weakness {
  readonly id: WeaknessId;
  /** What is wrong and what to do, as a sentence. */
  readonly sentence: string;
}

/**
 * The first weakness of a key, or undefined. `known` are other public keys (SubjectPublicKeyInfo) it must share nothing
 * with; the very same key among them is no finding. EC keys have none of these faults. Throws `DerError` for bytes
 * that are no SubjectPublicKeyInfo.
 */
export function weakKey(spkiDer: Uint8Array, known: Iterable<Uint8Array> = []): Weakness | undefined {
  const key = readPublicKey(spkiDer);
  if (key.kind !== 'rsa') return undefined;
  return weakAlone(spkiDer) ?? sharedWith(key.modulus, key.exponent, known);
}

/** A leaf's key is looked at when the leaf is built and again before it is signed. */
const weakAlone = rememberingLast((spkiDer) => {
  const key = readPublicKey(spkiDer);
  return key.kind === 'rsa' ? weakNumbers(key.modulus, key.exponent) : undefined;
});

const weakness = (id: WeaknessId, what: string): Weakness => ({
  id,
  sentence: `${what}; make a new key with a current library or device and certify that one.`,
});

const SHARED_MODULUS = weakness(
  'shared-modulus',
  'Another key has the same modulus, so whoever holds one can compute the other',
);
const SHARED_PRIME = weakness(
  'shared-prime',
  'The modulus shares a prime with another key’s, so both can be computed from their public halves',
);

/** Below this a modulus has been factored or soon will be. */
const SMALLEST_MODULUS_BITS = 2048;
/** Anything longer would only cost time; OpenSSL stops here too. */
const LARGEST_MODULUS_BITS = 16_384;

function weakNumbers(modulus: bigint, exponent: bigint): Weakness | undefined {
  const bits = modulusBits(modulus);
  if (bits < SMALLEST_MODULUS_BITS || bits > LARGEST_MODULUS_BITS) {
    return weakness('small-modulus', `The modulus has ${bits} bits, where 2048 to 4096 are right`);
  }
  if ((modulus & 1n) === 0n)
    return weakness('even-modulus', 'The modulus is even, so it is no product of two large primes');
  if (exponent < 65_537n || (exponent & 1n) === 0n || exponent >= 1n << 256n) {
    return weakness(
      'bad-exponent',
      `The public exponent is ${exponent < 1n << 64n ? exponent : 'enormous'}, where an odd one from 65537 to 2^256 is wanted`,
    );
  }
  const factor = smallFactor(modulus);
  if (factor !== undefined) return weakness('small-factor', `The modulus is divisible by ${factor}`);
  if (hasRocaFingerprint(modulus)) {
    return weakness(
      'roca',
      'The key was made by an Infineon chip of the years whose keys can be computed from their public half (ROCA, CVE-2017-15361)',
    );
  }
  if (hasClosePrimes(modulus)) {
    return weakness(
      'close-primes',
      'The two primes lie so close together that Fermat’s method finds them at once (CVE-2022-26320)',
    );
  }
  return undefined;
}

function primesBelow(limit: number): readonly number[] {
  const primes: number[] = [];
  for (let candidate = 2; candidate < limit; candidate += 1) {
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  }
  return primes;
}

const product = (primes: readonly number[]) => primes.reduce((result, prime) => result * BigInt(prime), 1n);

/** Made when the first key is looked at: most processes of the product see none, and each would wait for them as it starts. */
const smallPrimes = once(() => {
  const odd = primesBelow(752).slice(1);
  return { odd, product: product(odd) };
});

function once<Result>(make: () => Result): () => Result {
  let made: Result | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Trial division, as SP 800-89 §5.3.3 wants it (primes up to 751), by one long division. */
function smallFactor(modulus: bigint): number | undefined {
  const { odd, product: all } = smallPrimes();
  const rest = modulus % all;
  return odd.find((prime) => rest % BigInt(prime) === 0n);
}

/**
 * ROCA's fingerprint (Nemec and others, "The Return of Coppersmith's Attack", 2017, §3): the faulty library made both
 * primes as k·M + 65537^a mod M with M the product of the first primes, so modulo each of those primes the modulus is a
 * power of 65537. For primes to 167, where the powers of 65537 are not everything, chance does that once in 2^27 or
 * so; a key of the library does it always.
 */
const rocaPrimes = once(() => {
  const primes = smallPrimes().odd.filter((prime) => prime <= 167);
  return {
    powers: primes.map((prime) => ({ prime: BigInt(prime), powers: powersOf65537(prime) })),
    product: product(primes),
  };
});

function powersOf65537(prime: number): ReadonlySet<number> {
  const powers = new Set<number>();
  for (let power = 1; !powers.has(power); power = (power * (65_537 % prime)) % prime) powers.add(power);
  return powers;
}

function hasRocaFingerprint(modulus: bigint): boolean {
  const { powers: all, product: ofAll } = rocaPrimes();
  const rest = modulus % ofAll;
  return all.every(({ prime, powers }) => powers.has(Number(rest % prime)));
}

/**
 * Fermat's method, a few steps: n = a² − b² with a just above √n. Real keys have primes that differ in their first
 * hundred bits (FIPS 186-5 A.1.3), which would take more than 2^900 steps; every published weak key fell in under
 * twenty (https://fermatattack.secvuln.info).
 */
const FERMAT_STEPS = 100;

function hasClosePrimes(modulus: bigint): boolean {
  let a = squareRoot(modulus);
  if (a * a < modulus) a += 1n;
  let rest = a * a - modulus;
  for (let step = 0; step < FERMAT_STEPS; step += 1) {
    if (isSquare(rest)) return true;
    rest += 2n * a + 1n;
    a += 1n;
  }
  return false;
}

/** Squares modulo 64 and modulo 3·3·5·7·11: nine numbers in a thousand pass both, so the root is seldom taken. */
const squares = once(() => ({ of64: residues(64), of3465: residues(3465) }));

function residues(modulus: number): ReadonlySet<number> {
  return new Set(Array.from({ length: modulus }, (_, root) => (root * root) % modulus));
}

function isSquare(value: bigint): boolean {
  const { of64, of3465 } = squares();
  if (!of64.has(Number(value & 63n)) || !of3465.has(Number(value % 3465n))) return false;
  const root = squareRoot(value);
  return root * root === value;
}

/** Rounded down; Newton's method from a power of two that is surely too large. */
function squareRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let root = 1n << BigInt(Math.ceil(modulusBits(value) / 2));
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

function sharedWith(modulus: bigint, exponent: bigint, known: Iterable<Uint8Array>): Weakness | undefined {
  for (const other of known) {
    const key = readPublicKey(other);
    if (key.kind !== 'rsa' || key.modulus <= 0n) continue;
    if (key.modulus === modulus) {
      if (key.exponent === exponent) continue;
      return SHARED_MODULUS;
    }
    if (greatestCommonDivisor(key.modulus, modulus) !== 1n) {
      return SHARED_PRIME;
    }
  }
  return undefined;
}

function greatestCommonDivisor(left: bigint, right: bigint): bigint {
  let [a, b] = [left, right];
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}

/**
 * Whether a key shares its modulus or a prime with any of very many others, which come in pages: the product of all
 * moduli is kept modulo this one, so that each costs one multiplication and a single division chain at the end tells.
 * A hundred thousand keys take about a second. The very same key among them is no finding. Throws `DerError` for bytes that
 * are no SubjectPublicKeyInfo.
 */
export async function sharedAmong(
  spkiDer: Uint8Array,
  pages: AsyncIterable<readonly Uint8Array[]>,
): Promise<Weakness | undefined> {
  const key = readPublicKey(spkiDer);
  if (key.kind !== 'rsa') return undefined;
  let product = 1n;
  for await (const page of pages) {
    for (const otherDer of page) {
      const other = readPublicKey(otherDer);
      if (other.kind !== 'rsa' || other.modulus <= 0n) continue;
      if (other.modulus !== key.modulus) product = (product * (other.modulus % key.modulus)) % key.modulus;
      else if (other.exponent !== key.exponent) return SHARED_MODULUS;
    }
  }
  return greatestCommonDivisor(key.modulus, product) === 1n ? undefined : SHARED_PRIME;
}
