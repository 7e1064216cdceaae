/**
 * Answers of Cloud KMS are checked before they are used: an answer confirms the checksum of what it was sent, fits its own,
 * and names the version that was asked for. https://docs.cloud.google.com/kms/docs/data-integrity-guidelines
 */
import { permanent } from '../../errors.ts';
import { crc32c } from '../google/crc32c.ts';

/** Google says "a limited number of retries" for answers damaged on their way. */
const ANSWERS = 3;

export type Damage = 'checksum' | 'unconfirmed' | 'version';

const DAMAGE: Readonly<Record<Damage, string>> = {
  checksum: 'an answer that does not fit its own CRC32C',
  unconfirmed: 'without confirming the CRC32C of what it was sent',
  version: 'for another key version than the one that was asked for',
};

/** Asks until the answer is sound, a few times; then throws `kms-answer-refused` (permanent). */
export async function untilSound<T extends object>(
  keyVersion: string,
  ask: () => Promise<T | Damage>,
): Promise<T> {
  let problem: Damage = 'checksum';
  for (let count = 1; count <= ANSWERS; count += 1) {
    const answer = await ask();
    if (typeof answer !== 'string') return answer;
    problem = answer;
  }
  throw permanent(
    'kms-answer-refused',
    `Cloud KMS answered ${DAMAGE[problem]} (${keyVersion}), ${ANSWERS} times: the answer is not used. Look at what stands between this function and cloudkms.googleapis.com.`,
    { details: { problem, keyVersion } },
  );
}

export const fits = (bytes: Uint8Array, checksum: unknown): boolean =>
  bytes.length > 0 && checksum !== undefined && String(checksum) === String(crc32c(bytes));

/** A project may be named by id or by number; everything behind it must be the same. */
export function sameVersion(answered: unknown, asked: string): boolean {
  if (typeof answered !== 'string') return false;
  const [, project, rest] = /^projects\/([^/]+)\/(.+)$/.exec(answered) ?? [];
  const [, askedProject, askedRest] = /^projects\/([^/]+)\/(.+)$/.exec(asked) ?? [];
  if (project === undefined || askedProject === undefined || rest !== askedRest) return false;
  return project === askedProject || /^\d+$/.test(project) !== /^\d+$/.test(askedProject);
}
