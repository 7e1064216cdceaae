/** Aligned columns that people can scan and `awk` can split: two spaces between columns, no lines, no colour. */
export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  /** Narrowest width; keeps pages of one long listing aligned. */
  readonly minimum?: number;
}

const GAP = '  ';
/** What stands where there is nothing, so that columns can be counted. */
export const NOTHING = '–';

/** A header line and a line for each row; the last column is not padded. Line breaks inside a cell become spaces. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], header = true): string {
  const body = rows.map((row) => columns.map((column) => cell(column.value(row))));
  const lines = header ? [columns.map((column) => column.title), ...body] : body;
  const widths = columns.map((column, index) =>
    Math.max(column.minimum ?? 0, ...lines.map((line) => width(line[index] ?? ''))),
  );
  return lines
    .map((line) =>
      line
        .map((text, index) => (index === line.length - 1 ? text : pad(text, widths[index] ?? 0)))
        .join(GAP)
        .trimEnd(),
    )
    .join('\n');
}

/** `label  value` lines, the labels padded to one width; undefined values are left out. */
export function facts(entries: readonly (readonly [label: string, value: string | undefined])[]): string {
  const present = entries.filter((entry): entry is readonly [string, string] => entry[1] !== undefined);
  const widest = Math.max(0, ...present.map(([label]) => width(label)));
  return present.map(([label, value]) => `${pad(label, widest)}${GAP}${cell(value)}`).join('\n');
}

const cell = (text: string): string => (text === '' ? NOTHING : text.replaceAll(/\s*\n\s*/g, ' '));
const width = (text: string): number => [...text].length;
const pad = (text: string, to: number): string => text + ' '.repeat(Math.max(0, to - width(text)));
