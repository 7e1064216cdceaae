import { isSealwrightError, permanent, retryable, type SealwrightError } from '../../errors.ts';
import { GoogleCallError, isCredentialFailure } from '../google/call-error.ts';
import { isTransient } from '../google/retry.ts';

/**
 * What a failed call to the Directory API means for us; the one place that decides it. 404 on a user is no failure
 * and is handled where it is asked. https://developers.google.com/workspace/admin/directory/v1/limits
 */
export function directoryFailure(error: GoogleCallError, doing: string): SealwrightError {
  const { failure } = error;
  const said = `${doing} failed: ${error.message}`;
  const details = {
    method: failure.method,
    ...(failure.httpStatus === undefined ? {} : { httpStatus: failure.httpStatus }),
    ...(failure.reasons[0] === undefined ? {} : { reason: failure.reasons[0] }),
  };
  if (isTransient(failure)) {
    return retryable('directory-unavailable', said, {
      cause: error,
      details,
      ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
    });
  }
  const refused = (advice: string) =>
    permanent('directory-refused', `${said.replace(/[^.!?]$/, '$&.')} ${advice}`, { cause: error, details });
  if (isCredentialFailure(failure))
    return refused(
      failure.advice ??
        "Check the service account that reads the directory and this function's right to act as it.",
    );
  switch (failure.httpStatus) {
    case 401:
      // A fresh token was refused as well: a clock that is off, or an outage; both pass.
      return retryable('directory-unavailable', said, { cause: error, details });
    case 403:
      if (failure.reasons.some((reason) => reason === 'accessNotConfigured' || reason === 'SERVICE_DISABLED'))
        return refused('Enable the Admin SDK API (admin.googleapis.com) in the project.');
      if (
        failure.reasons.some((reason) =>
          /^(insufficientPermissions|ACCESS_TOKEN_SCOPE_INSUFFICIENT)$/.test(reason),
        )
      )
        return refused(
          'The token lacks one of the scopes admin.directory.user.readonly, admin.directory.orgunit.readonly and admin.directory.group.readonly.',
        );
      return refused(
        'Give the service account that reads the directory an admin role with the privileges to read users, org units and groups, and check that the user belongs to this tenant.',
      );
    default:
      return refused('The request itself was refused; repeating it will not help.');
  }
}

/** Google answers 400 to a question about an org unit that is gone or never was. */
export function unitFailure(error: unknown, asked: { readonly query?: string }, doing: string): unknown {
  if (!isSealwrightError(error) || !(error.cause instanceof GoogleCallError)) return error;
  const { failure } = error.cause;
  const isAboutUnit = failure.method === 'directory.users.list' && asked.query !== undefined;
  if (!isAboutUnit || failure.httpStatus !== 400 || !/INVALID_OU_ID/i.test(failure.text)) return error;
  return permanent('not-found', `${doing} failed: there is no such org unit.`, { cause: error.cause });
}

/**
 * What the failure of one page of a list means. Google answers 400 also for a page token it no longer takes. A token that is refused costs another reading from the beginning and nothing else, so that is what
 * every 400 to a question with a token is taken for.
 */
export function sweptPageFailure(
  error: unknown,
  asked: { readonly query?: string; readonly pageToken?: string },
  doing: string,
): unknown {
  const known = unitFailure(error, asked, doing);
  if (known !== error) return known;
  if (!isSealwrightError(error) || !(error.cause instanceof GoogleCallError)) return error;
  const { failure } = error.cause;
  if (failure.method !== 'directory.users.list') return error;
  if (asked.pageToken !== undefined && (failure.httpStatus === 400 || failure.httpStatus === 410)) {
    return pageTokenExpired(doing, error.cause);
  }
  return error;
}

export const pageTokenExpired = (doing: string, cause?: unknown): SealwrightError =>
  retryable(
    'page-token-expired',
    `${doing} failed: its page token is no longer taken, so the list is read from its beginning.`,
    { cause },
  );
