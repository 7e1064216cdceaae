/**
 * How every benchmark reports: rows, each a ratio to a peer that was measured in the same run on the same machine. A
 * table goes to standard output for people; with `--json` one JSON object per row instead.
 */
export interface BenchRow {
  /** What was measured, such as "CRL, 1,000,000 entries". */
  readonly name: string;
  /** Ours, in `unit`. */
  readonly ours: number;
  /** The peer, in the same unit. */
  readonly peer: number;
  /** What the peer is, such as "openssl ca -gencrl". */
  readonly peerName: string;
  readonly unit: 'ms' | 'per second' | 'per CPU second' | 'MB' | '|t|' | 'inputs';
  /** What the ratio `ours / peer` should be, where there is a goal. */
  readonly target?: { readonly atMost: number } | { readonly atLeast: number };
  /** Anything else worth a line, such as peak memory. */
  readonly note?: string;
}

export const ratioOf = (row: BenchRow): number => row.ours / row.peer;

/** Whether the ratio is what it should be; true where there is no target. */
export function meetsTarget(row: BenchRow): boolean {
  const { target } = row;
  if (target === undefined) return true;
  return 'atMost' in target ? ratioOf(row) <= target.atMost : ratioOf(row) >= target.atLeast;
}

/** Prints rows and answers whether all meet their targets. */
export function report(title: string, rows: readonly BenchRow[]): boolean {
  if (process.argv.includes('--json')) {
    for (const row of rows) {
      console.log(JSON.stringify({ bench: title, ...row, ratio: ratioOf(row), met: meetsTarget(row) }));
    }
  } else {
    console.log(`\n${title}`);
    const cells = rows.map((row) => [
      row.name,
      `${figure(row.ours)} ${row.unit}`,
      `${figure(row.peer)} ${row.unit}`,
      row.peerName,
      figure(ratioOf(row)),
      targetText(row),
      row.note ?? '',
    ]);
    table([['', 'ours', 'peer', 'peer is', 'ratio', 'target', ''], ...cells]);
  }
  return rows.every(meetsTarget);
}

function targetText(row: BenchRow): string {
  if (row.target === undefined) return '';
  const text = 'atMost' in row.target ? `≤ ${row.target.atMost}` : `≥ ${row.target.atLeast}`;
  return `${text} ${meetsTarget(row) ? 'met' : 'MISSED'}`;
}

/** Three significant digits. */
const figure = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

function table(lines: readonly (readonly string[])[]): void {
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  for (const line of lines) {
    console.log(
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  }
}

/** The middle one of several measurements. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
