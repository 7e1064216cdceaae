/** The deployed functions, by the names that they, their bundles and their roles in the database have. */
export const FUNCTION_NAMES = [
  'directory-watch',
  'directory-event',
  'due',
  'sweep',
  'sign',
  'publish-crl',
  'admin',
  'key-service',
  'ocsp',
] as const;

export type FunctionName = (typeof FUNCTION_NAMES)[number];
