import type { Log } from '../../../shared/ports/log.ts';

export interface LogLine {
  readonly severity: 'info' | 'warning' | 'error';
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A log that keeps its lines. */
export interface KeptLog extends Log {
  readonly lines: LogLine[];
  /** The lines of one event, in order. */
  of(event: string): readonly LogLine[];
}

export function keptLog(): KeptLog {
  const lines: LogLine[] = [];
  const keep =
    (severity: LogLine['severity']) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}) => {
      lines.push({ severity, event, fields });
    };
  return {
    lines,
    of: (event) => lines.filter((line) => line.event === event),
    info: keep('info'),
    warning: keep('warning'),
    error: keep('error'),
  };
}
