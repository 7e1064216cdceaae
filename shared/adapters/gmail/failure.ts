import { permanent, retryable, type SealwrightError } from '../../errors.ts';
import { type GoogleCallError, isCredentialFailure } from '../google/call-error.ts';
import { isTransient } from '../google/retry.ts';

/** Answers that some methods expect. */
export const isAlreadyExists = ({ failure }: GoogleCallError): boolean =>
  failure.httpStatus === 409 && failure.status !== 'ABORTED' && !failure.reasons.includes('aborted');

export const isFailedPrecondition = ({ failure }: GoogleCallError): boolean =>
  failure.httpStatus === 400 &&
  (failure.status === 'FAILED_PRECONDITION' || failure.reasons.includes('failedPrecondition'));

/**
 * What a failed call to Gmail means for us; the one place that decides it.
 * https://developers.google.com/workspace/gmail/api/guides/handle-errors
 *
 * | Gmail                                              | ours                                 |
 * |----------------------------------------------------|--------------------------------------|
 * | no token: unknown user, client or scope not authorised | `delegation-refused`             |
 * | 429, 5xx, 403 for quota, 409 ABORTED, no answer     | `gmail-unavailable`, retryable       |
 * | 400 FAILED_PRECONDITION "Mail service not enabled"  | `mailbox-not-ready`                  |
 * | 400 FAILED_PRECONDITION on a list                   | `mailbox-not-ready`: a list has no other precondition than a mailbox |
 * | 401 twice                                           | `gmail-unavailable`, retryable       |
 * | 403 "Delegation denied", 403 for the scope          | `delegation-refused`                 |
 * | 403 for an API that is not enabled                  | `gmail-refused`                      |
 * | 403 otherwise                                       | `cse-not-enabled`: switched off, or no licence with it |
 * | anything else                                       | `gmail-refused`, with Google's words |
 */
export function gmailFailure(error: GoogleCallError, doing: string, mailbox: string): SealwrightError {
  const { failure } = error;
  const said = `${doing} for ${mailbox} failed: ${error.message}`;
  const details = {
    mailbox,
    method: failure.method,
    ...(failure.httpStatus === undefined ? {} : { httpStatus: failure.httpStatus }),
    ...(failure.reasons[0] === undefined ? {} : { reason: failure.reasons[0] }),
  };
  const unavailable = () =>
    retryable('gmail-unavailable', said, {
      cause: error,
      details,
      ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
    });
  const blocked = (
    code: 'mailbox-not-ready' | 'cse-not-enabled' | 'delegation-refused' | 'gmail-refused',
    advice: string,
  ) => permanent(code, `${said} ${advice}`, { cause: error, details });

  if (isTransient(failure)) return unavailable();
  if (isCredentialFailure(failure))
    return blocked(
      'delegation-refused',
      failure.advice ?? 'Check the domain-wide delegation of the service account.',
    );
  const has = (...reasons: string[]) => failure.reasons.some((reason) => reasons.includes(reason));
  switch (failure.httpStatus) {
    case 400:
      if (/mail service not enabled/i.test(failure.text))
        return blocked(
          'mailbox-not-ready',
          'The user has no Gmail: it may still be being set up, or the licence is missing, the service off or the user suspended.',
        );
      if (isFailedPrecondition(error) && failure.method.endsWith('.list'))
        return blocked(
          'mailbox-not-ready',
          'Gmail may still be setting this user up, or the licence is missing or the service off.',
        );
      return blocked('gmail-refused', 'Gmail does not take this request; repeating it will not help.');
    case 401:
      return unavailable();
    case 403:
      if (has('accessNotConfigured', 'SERVICE_DISABLED'))
        return blocked('gmail-refused', 'Enable the Gmail API (gmail.googleapis.com) in the project.');
      if (/delegation denied/i.test(failure.text))
        return blocked('delegation-refused', 'The token was made for another user than the mailbox.');
      if (has('insufficientPermissions', 'ACCESS_TOKEN_SCOPE_INSUFFICIENT'))
        return blocked(
          'delegation-refused',
          'Authorise the service account for the scope https://www.googleapis.com/auth/gmail.settings.basic in the Admin console.',
        );
      return blocked(
        'cse-not-enabled',
        "Switch on client-side encryption for Gmail for the user's organizational unit, and see that the user has a licence with it; it can take up to 24 hours to reach a user.",
      );
    default:
      return blocked('gmail-refused', 'Gmail does not take this request; repeating it will not help.');
  }
}
