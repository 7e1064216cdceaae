/** What makes little sense only beside how many people a policy covers. Such a policy is taken all the same. */
import type { Policy } from '../domain/policy.ts';

/** However generous the guard, so few are overseen at a glance. */
const FEW = 10;

/** In sentences; from how many each rule covers. */
export function warningsOf(
  { guard: { minimumPerHour } }: Policy,
  coveredByRule: Readonly<Record<string, number>>,
): readonly string[] {
  const covered = Object.values(coveredByRule).reduce((sum, users) => sum + users, 0);
  if (covered <= FEW || minimumPerHour <= covered / 2) return [];
  return [
    `The guard always lets ${minimumPerHour} departures an hour through, and the policy covers ${covered} users: more than half of them could lose their certificates within an hour without an admin. Lower guard.minimumPerHour to ${Math.floor(covered / 2)} or less.`,
  ];
}
