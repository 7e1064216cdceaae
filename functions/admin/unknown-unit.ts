import { nearest } from '../../shared/config/nearest.ts';
import { permanent } from '../../shared/errors.ts';
import type { Directory } from '../../shared/ports/directory.ts';

/** Throws `not-found` for an org unit that the directory does not have, with the one that may have been meant. */
export async function refuseUnknownUnit(
  directory: Pick<Directory, 'orgUnits'>,
  orgUnit: string,
): Promise<void> {
  const paths = (await directory.orgUnits({ fresh: true })).map(({ path }) => path);
  if (paths.some((path) => path.toLowerCase() === orgUnit.toLowerCase())) return;
  const guess = nearest(orgUnit, paths);
  const advice = guess === undefined ? '.' : `; did you mean ${guess}?`;
  throw permanent('not-found', `There is no org unit ${orgUnit}${advice}`, {
    details: { field: 'orgUnit' },
  });
}
