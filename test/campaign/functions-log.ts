/** Reads the functions' log: one JSON line per event, each process's lines between `functions-started` and `functions-ended`. */
import { readFileSync } from 'node:fs';

/** One process of the functions, from its start to its end. */
export interface Lifetime {
  readonly pid: number;
  /** `STEP of USERID` of every step that was begun and had neither ended nor failed when the process ended. */
  readonly inFlight: readonly string[];
  /** Lines about steps: begun, ended, failed. */
  readonly stepLines: number;
  /** Serials of leaves that were signed, lower-case hex. */
  readonly signed: readonly string[];
  /** What our own code calls a bug, with its stack. */
  readonly bugs: readonly string[];
}

interface Line {
  readonly bug?: string;
  readonly event?: string;
  readonly pid?: number;
  readonly userId?: string;
  readonly step?: string;
  readonly kind?: string;
  readonly serialHex?: string;
}

export function readLifetimes(logFile: string): readonly Lifetime[] {
  const lifetimes: {
    pid: number;
    inFlight: Set<string>;
    stepLines: number;
    signed: string[];
    bugs: string[];
  }[] = [];
  for (const line of linesOf(readFileSync(logFile, 'utf8'))) {
    if (line.event === 'functions-started')
      lifetimes.push({ pid: line.pid ?? 0, inFlight: new Set(), stepLines: 0, signed: [], bugs: [] });
    const current = lifetimes.at(-1);
    if (current === undefined) continue;
    if (line.bug !== undefined) current.bugs.push(line.bug);
    const step = `${line.step} of ${line.userId}`;
    if (line.event?.startsWith('step-')) current.stepLines += 1;
    if (line.event === 'step-started') current.inFlight.add(step);
    if (line.event === 'step-ended' || line.event === 'step-failed') current.inFlight.delete(step);
    if (line.event === 'signed' && line.kind === 'leaf' && line.serialHex !== undefined)
      current.signed.push(line.serialHex);
  }
  return lifetimes.map((lifetime) => ({ ...lifetime, inFlight: [...lifetime.inFlight] }));
}

/** A killed process may leave half a line. */
function linesOf(text: string): readonly Line[] {
  return text.split('\n').flatMap((line) => {
    if (!line.startsWith('{')) return [];
    try {
      return [JSON.parse(line) as Line];
    } catch {
      return [];
    }
  });
}
