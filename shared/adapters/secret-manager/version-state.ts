/** Whether a secret version is enabled, without reading what it holds. */
import { SECRET_VERSION } from '../../domain/key-version.ts';
import { invalidInput } from '../../errors.ts';
import { callGoogle } from '../google/call.ts';
import { GoogleCallError } from '../google/call-error.ts';
import { restCall } from '../google/rest.ts';
import { secretsFailure } from './failure.ts';
import type { SecretManagerOptions } from './secret-manager.ts';

const GOOGLE = 'https://secretmanager.googleapis.com/';

/**
 * `ENABLED`, `DISABLED` or `DESTROYED`; undefined where the caller may not look (`roles/secretmanager.viewer`). Throws
 * `secret-missing` (permanent), `secrets-unavailable`.
 */
export function secretVersionState({ own, retry, endpoints }: SecretManagerOptions) {
  return async (version: string): Promise<string | undefined> => {
    if (!SECRET_VERSION.test(version))
      throw invalidInput('settings-invalid', `"${version}" is no pinned secret version.`);
    const method = 'secretmanager.projects.secrets.versions.get';
    const url = `${endpoints.rootUrl ?? GOOGLE}v1/${version}`;
    try {
      const got = await callGoogle({ method, repeatable: 'any-time', retry }, own, (accessToken) =>
        restCall({ url, method: 'GET' }, accessToken, retry),
      );
      return typeof got['state'] === 'string' ? got['state'] : undefined;
    } catch (error) {
      if (!(error instanceof GoogleCallError)) throw error;
      if (error.failure.httpStatus === 403) return undefined;
      throw secretsFailure(error, 'Reading', version);
    }
  };
}
