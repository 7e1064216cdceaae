/** The people that a policy names one by one: a mistyped address would exclude or protect nobody, and nothing would ever say so. */
import type { Policy } from '../domain/policy.ts';
import type { Directory } from '../ports/directory.ts';
import type { UnknownName } from './pins.ts';

/** So many questions to the directory at once. */
const AT_ONCE = 8;
const USER_ID = /^\d+$/;

/** Those whom the directory knows neither among the living nor among those deleted in the last 20 days. */
export async function unknownUsers(
  directory: Pick<Directory, 'presence' | 'resolve'>,
  policy: Policy,
): Promise<readonly UnknownName[]> {
  const names = new Set(
    [policy.protected, ...policy.rules.map(({ exclude }) => exclude)].flatMap(({ users }) => users),
  );
  const unknown: UnknownName[] = [];
  const waiting = names.values();
  const asking = async () => {
    for (const name of waiting)
      if (!(await isKnown(directory, name))) unknown.push({ kind: 'user', name, message: sentence(name) });
  };
  await Promise.all(Array.from({ length: AT_ONCE }, asking));
  return unknown;
}

async function isKnown(directory: Pick<Directory, 'presence' | 'resolve'>, name: string): Promise<boolean> {
  return USER_ID.test(name)
    ? (await directory.presence(name)).kind !== 'absent'
    : (await directory.resolve(name)) !== undefined;
}

const sentence = (name: string): string =>
  `nobody in the directory ${USER_ID.test(name) ? 'has the id' : 'answers to'} ${name}, and nobody deleted in the last 20 days did: correct it, or leave it out`;
