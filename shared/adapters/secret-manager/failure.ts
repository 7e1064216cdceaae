import { permanent, retryable, type SealwrightError } from '../../errors.ts';
import { type GoogleCallError, isCredentialFailure } from '../google/call-error.ts';
import { isTransient } from '../google/retry.ts';

/**
 * What a failed call to Secret Manager means for us; the one place that decides it. `name` is the secret or the
 * version that was asked for. https://docs.cloud.google.com/secret-manager/docs/reference/rest
 */
export function secretsFailure(
  error: GoogleCallError,
  doing: 'Reading' | 'Adding to' | 'Listing',
  name: string,
): SealwrightError {
  const { failure } = error;
  const said = `${doing} the secret ${name} failed: ${error.message}`;
  const details = {
    secret: name,
    ...(failure.httpStatus === undefined ? {} : { httpStatus: failure.httpStatus }),
  };
  const retryAfter = failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs };
  const unavailable = () => retryable('secrets-unavailable', said, { cause: error, details, ...retryAfter });
  const refused = (code: 'secret-missing' | 'secret-unreadable' | 'secrets-unavailable', advice: string) =>
    permanent(code, `${said} ${advice}`, { cause: error, details });
  const reading = doing === 'Reading';

  if (isTransient(failure)) return unavailable();
  if (isCredentialFailure(failure))
    return refused('secrets-unavailable', failure.advice ?? "Check this function's service account.");
  switch (failure.httpStatus) {
    case 400:
      return reading
        ? refused(
            'secret-unreadable',
            'The version is disabled or destroyed: enable it, or configure another one.',
          )
        : refused('secrets-unavailable', 'Secret Manager does not take this payload.');
    case 401:
      return unavailable();
    case 403:
      return reading
        ? refused(
            'secret-unreadable',
            "Give this function's service account roles/secretmanager.secretAccessor on it.",
          )
        : refused(
            'secrets-unavailable',
            doing === 'Listing'
              ? 'Give the caller roles/secretmanager.viewer on it.'
              : 'Give the caller roles/secretmanager.admin on it, or on the project to create it.',
          );
    case 404:
      return refused('secret-missing', 'Create it, or correct the name in the settings.');
    default:
      return refused(
        'secrets-unavailable',
        'Secret Manager does not take this request; repeating it will not help.',
      );
  }
}
