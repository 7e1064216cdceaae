/**
 * Lower case for comparing addresses and domains: ASCII letters only. Unicode case mapping would fold characters that
 * are not the same address (the Kelvin sign lower-cases to `k`).
 */
export const lowerCaseAscii = (text: string): string =>
  text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

export const sameIgnoringCase = (left: string, right: string): boolean =>
  lowerCaseAscii(left) === lowerCaseAscii(right);
