/**
 * One JSON line per thing that happened, in the field names Cloud Logging understands (`severity`, `message`). Values
 * are ids, codes, fingerprints, serials and durations; never a key, a token, a header or a wrapped key.
 */
export interface Log {
  info(event: string, fields?: Readonly<Record<string, unknown>>): void;
  warning(event: string, fields?: Readonly<Record<string, unknown>>): void;
  error(event: string, fields?: Readonly<Record<string, unknown>>): void;
}
