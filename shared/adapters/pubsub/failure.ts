import { permanent, retryable, type SealwrightError } from '../../errors.ts';
import { type GoogleCallError, isCredentialFailure } from '../google/call-error.ts';
import { isTransient } from '../google/retry.ts';

/**
 * What a failed publish means for us; the one place that decides it. The code is always `bus-unavailable`; it is
 * permanent where nothing will change before somebody acts. https://cloud.google.com/pubsub/docs/reference/error-codes
 */
export function busFailure(error: GoogleCallError, topic: string): SealwrightError {
  const { failure } = error;
  const said = `Publishing to ${topic} failed: ${error.message}`;
  const details = { topic, ...(failure.httpStatus === undefined ? {} : { httpStatus: failure.httpStatus }) };
  const options = {
    cause: error,
    details,
    ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
  };
  const stuck = (advice: string) =>
    permanent('bus-unavailable', `${said} ${advice}`, { cause: error, details });
  if (isTransient(failure)) return retryable('bus-unavailable', said, options);
  if (isCredentialFailure(failure)) return stuck(failure.advice ?? "Check this function's service account.");
  switch (failure.httpStatus) {
    case 401:
      return retryable('bus-unavailable', said, options);
    case 403:
      return stuck("Give this function's service account roles/pubsub.publisher on the topic.");
    case 404:
      return stuck(`Create the topic ${topic}, or correct its name in the settings.`);
    default:
      return stuck('Pub/Sub does not take this message; repeating it will not help.');
  }
}

/** What a failed call about dead letters means; the code is `bus-unavailable` here too. */
export function deadLetterFailure(error: GoogleCallError, subscription: string): SealwrightError {
  const { failure } = error;
  const said = `Reading the dead letters of ${subscription} failed: ${error.message}`;
  const details = {
    subscription,
    ...(failure.httpStatus === undefined ? {} : { httpStatus: failure.httpStatus }),
  };
  if (isTransient(failure) || (failure.httpStatus === 401 && !isCredentialFailure(failure)))
    return retryable('bus-unavailable', said, { cause: error, details });
  const advice =
    failure.httpStatus === 403
      ? "Give the admin function's service account roles/pubsub.subscriber on the subscription, and roles/pubsub.publisher on the topics."
      : 'Apply the Terraform of this version, which makes topic, subscription and rights.';
  return permanent('bus-unavailable', `${said} ${advice}`, { cause: error, details });
}
