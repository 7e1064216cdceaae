/**
 * ID tokens of another service account, for whoever may have them made (`roles/iam.serviceAccountOpenIdTokenCreator`).
 * https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken
 */
import { iamcredentials } from 'googleapis/build/src/apis/iamcredentials/index.js';
import { permanent, retryable } from '../../errors.ts';
import { type Bearer, callGoogle } from './call.ts';
import { GoogleCallError } from './call-error.ts';
import { type GoogleEndpoints, restRoot } from './endpoints.ts';
import { withToken } from './rest-options.ts';
import { isTransient, type RetrySettings } from './retry.ts';

/**
 * Answers tokens with the account's address in `email`. Nothing is kept: it is asked a handful of times. Throws
 * `tokens-unavailable`: retryable where it may pass, else permanent.
 */
export function impersonatedIdTokens({
  account,
  own,
  endpoints,
  retry,
}: {
  readonly account: string;
  /** Who asks. */
  readonly own: Bearer;
  readonly endpoints: GoogleEndpoints;
  readonly retry: RetrySettings;
}): (audience: string) => Promise<string> {
  const { serviceAccounts } = iamcredentials({
    version: 'v1',
    retry: false,
    ...restRoot(endpoints),
  }).projects;
  const method = 'iamcredentials.projects.serviceAccounts.generateIdToken';
  return async (audience) => {
    try {
      const { data } = await callGoogle({ method, repeatable: 'any-time', retry }, own, (accessToken) =>
        serviceAccounts.generateIdToken(
          {
            name: `projects/-/serviceAccounts/${account}`,
            requestBody: { audience, includeEmail: true },
          },
          withToken(accessToken, retry),
        ),
      );
      if (typeof data.token === 'string' && data.token !== '') return data.token;
    } catch (error) {
      if (!(error instanceof GoogleCallError)) throw error;
      const said = `No ID token of ${account} could be had: ${error.message}`;
      if (isTransient(error.failure)) throw retryable('tokens-unavailable', said, { cause: error });
      throw permanent(
        'tokens-unavailable',
        `${said} Your account needs roles/iam.serviceAccountOpenIdTokenCreator on it.`,
        { cause: error },
      );
    }
    throw retryable('tokens-unavailable', `IAM answered no ID token of ${account}.`);
  };
}
