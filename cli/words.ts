/** Small renderings that several commands share. */

/** `2026-11-23 15:29Z`: UTC, to the minute. Text that is no instant is shown as it came. */
export function instant(text: string | undefined): string {
  if (text === undefined) return '';
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return text;
  return `${date.toISOString().slice(0, 16).replace('T', ' ')}Z`;
}

/** `1 user`, `20 users`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`;

/** The largest unit that fits without a remainder, as the policy file writes it: `30d`, `72h`, `90s`. */
export function duration(milliseconds: number): string {
  const units: readonly (readonly [string, number])[] = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
  ];
  const [unit, size] = units.find(([, length]) => milliseconds > 0 && milliseconds % length === 0) ?? [
    's',
    1000,
  ];
  return `${milliseconds / size}${unit}`;
}
