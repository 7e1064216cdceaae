/** Moduli with one known fault each, made by arithmetic; none is anybody's key. */
import { bitString, integer, nullValue, oid, sequence } from '../../shared/pki/der.ts';

/** SubjectPublicKeyInfo of these numbers, whatever they are. */
export const rsaSpki = (modulus: bigint, exponent = 65_537n): Uint8Array =>
  sequence(
    sequence(oid('1.2.840.113549.1.1.1'), nullValue()),
    bitString(sequence(integer(modulus), integer(exponent))),
  );

const SMALL_PRIMES = Array.from({ length: 752 }, (_, number) => number).filter(
  (number) =>
    number > 2 &&
    Array.from({ length: number - 2 }, (_, at) => at + 2).every((factor) => number % factor !== 0),
);

/** The next odd number from here that no prime below 752 divides. */
export function withoutSmallFactors(from: bigint): bigint {
  let candidate = from | 1n;
  while (SMALL_PRIMES.some((prime) => candidate % BigInt(prime) === 0n)) candidate += 2n;
  return candidate;
}

/** A number of 2048 bits that is a power of 65537 modulo every prime to 167, as a faulty chip's moduli are. */
export function rocaModulus(): bigint {
  const product = SMALL_PRIMES.filter((prime) => prime <= 167).reduce(
    (all, prime) => all * BigInt(prime),
    1n,
  );
  let power = 1n;
  for (let exponent = 0; exponent < 1234; exponent += 1) power = (power * 65_537n) % product;
  let modulus = (1n << 2047n) - ((1n << 2047n) % product) + product + power;
  while ((modulus & 1n) === 0n || SMALL_PRIMES.some((prime) => modulus % BigInt(prime) === 0n))
    modulus += product;
  return modulus;
}
