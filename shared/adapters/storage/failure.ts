import { permanent, retryable, type SealwrightError } from '../../errors.ts';
import { type GoogleCallError, isCredentialFailure } from '../google/call-error.ts';
import { isTransient } from '../google/retry.ts';

/**
 * What a failed call to Cloud Storage means for us; the one place that decides it. A missing object is no failure of
 * a read and is handled there. https://docs.cloud.google.com/storage/docs/json_api/v1/status-codes
 */
export function storageFailure(error: GoogleCallError, doing: string, bucket: string): SealwrightError {
  const { failure } = error;
  const said = `${doing} failed: ${error.message}`;
  const details = { bucket, ...(failure.httpStatus === undefined ? {} : { httpStatus: failure.httpStatus }) };
  const retryAfter = failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs };
  const unavailable = () => retryable('storage-unavailable', said, { cause: error, details, ...retryAfter });
  const refused = (advice: string) =>
    permanent('storage-unavailable', `${said} ${advice}`, { cause: error, details });
  if (isTransient(failure)) return unavailable();
  if (isCredentialFailure(failure))
    return refused(failure.advice ?? "Check this function's service account.");
  switch (failure.httpStatus) {
    case 401:
      return unavailable();
    case 403:
      return refused(
        `Give this function's service account roles/storage.objectUser on the bucket ${bucket}.`,
      );
    case 404:
      return refused(`Create the bucket ${bucket}, or correct its name in the settings.`);
    case 412:
      return retryable(
        'storage-precondition',
        `${said} Somebody else wrote the object in between; read it again and decide anew.`,
        { cause: error, details },
      );
    default:
      return refused('Cloud Storage does not take this request; repeating it will not help.');
  }
}
