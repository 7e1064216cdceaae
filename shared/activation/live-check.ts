/** What only the directory can tell of a policy file: names that it does not know, each at its place in the file. */
import type { ParsedPolicy, PolicyMistake } from '../config/policy.ts';
import type { Policy, Selection } from '../domain/policy.ts';
import type { UnknownName } from './pins.ts';

type Path = readonly PropertyKey[];

/** Every place that names an unknown unit, group or user. */
export function unknownNames(
  { policy, place }: ParsedPolicy,
  unknown: readonly UnknownName[],
): PolicyMistake[] {
  const messages = new Map(unknown.map(({ name, message }) => [name.toLowerCase(), message]));
  return placesOfNames(policy).flatMap(({ name, path }) => {
    const message = messages.get(name.toLowerCase());
    return message === undefined ? [] : [{ ...place(path), message }];
  });
}

/** Rules that cover nobody, from how many each covers. */
export function emptyRules(
  { policy, place }: ParsedPolicy,
  coveredByRule: Readonly<Record<string, number>>,
): PolicyMistake[] {
  return policy.rules.flatMap((rule, index) =>
    coveredByRule[rule.name] === 0
      ? [
          {
            ...place(['rules', index, rule.scope.kind === 'group' ? 'group' : 'orgUnit']),
            message: `rule "${rule.name}" matches nobody: its scope is empty, excluded, or covered by rules that go before it`,
          },
        ]
      : [],
  );
}

function placesOfNames(policy: Policy): readonly { readonly name: string; readonly path: Path }[] {
  const within = (path: Path, { orgUnits, groups, users }: Selection) => [
    ...orgUnits.map((unit, index) => ({ name: unit.path, path: [...path, 'orgUnits', index] })),
    ...groups.map((group, index) => ({ name: group.address, path: [...path, 'groups', index] })),
    ...users.map((name, index) => ({ name, path: [...path, 'users', index] })),
  ];
  return [
    ...policy.rules.flatMap(({ scope, exclude }, index) => [
      scope.kind === 'group'
        ? { name: scope.address, path: ['rules', index, 'group'] }
        : { name: scope.path, path: ['rules', index, 'orgUnit'] },
      ...within(['rules', index, 'exclude'], exclude),
    ]),
    ...within(['protected'], policy.protected),
  ];
}
