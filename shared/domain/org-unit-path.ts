/** True when `path` is the unit `ancestor` or lies below it: by whole segments, without regard to case. */
export function isWithin(path: string, ancestor: string): boolean {
  const below = segmentsOf(path);
  return segmentsOf(ancestor).every((segment, index) => below[index] === segment);
}

/** The names along a path, lower case; none for the root. */
export const segmentsOf = (path: string): readonly string[] => path.toLowerCase().split('/').filter(Boolean);
