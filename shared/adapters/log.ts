import type { Log } from '../ports/log.ts';

/** Writes one JSON line per event; https://cloud.google.com/logging/docs/structured-logging */
export function jsonLog(write: (line: string) => void = (line) => process.stdout.write(`${line}\n`)): Log {
  const line =
    (severity: string) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}) =>
      write(JSON.stringify({ severity, event, ...fields }));
  return { info: line('INFO'), warning: line('WARNING'), error: line('ERROR') };
}
