import { permanent, retryable, type SealwrightError } from '../../errors.ts';
import { type GoogleCallError, isCredentialFailure } from '../google/call-error.ts';
import { isTransient } from '../google/retry.ts';

/**
 * What a failed call to Cloud KMS means for us; the one place that decides it.
 * https://docs.cloud.google.com/kms/docs/reference/rest
 */
export function kmsFailure(
  error: GoogleCallError,
  what: { readonly doing: string; readonly name: string; readonly role: string },
): SealwrightError {
  const { failure } = error;
  const said = `${what.doing} ${what.name} failed: ${error.message}`;
  const details = {
    key: what.name,
    ...(failure.httpStatus === undefined ? {} : { httpStatus: failure.httpStatus }),
  };
  const retryAfter = failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs };
  const unusable = (advice: string) =>
    permanent('kms-key-unusable', `${said} ${advice}`, { cause: error, details });

  if (isTransient(failure) || failure.httpStatus === 401)
    return retryable('kms-unavailable', said, { cause: error, details, ...retryAfter });
  if (isCredentialFailure(failure))
    return unusable(failure.advice ?? "Check this function's service account.");
  switch (failure.httpStatus) {
    case 400:
      return unusable(
        failure.status === 'FAILED_PRECONDITION'
          ? 'Enable the version, or restore it while its destruction is only scheduled.'
          : 'Cloud KMS does not take this request for this key: check its purpose and algorithm.',
      );
    case 403:
      return unusable(`Give the caller ${what.role} on the key.`);
    case 404:
      return unusable('Create it, or correct the name.');
    default:
      return unusable('Repeating it will not help.');
  }
}
