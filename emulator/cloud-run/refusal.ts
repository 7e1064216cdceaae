import { GoogleError } from '../core/google-error.ts';

/**
 * What Cloud Run answers in the function's place. Google sends short HTML pages here; the emulator sends the same
 * status and headers with Google's JSON error, which says more to whoever looks for a mistake.
 */
export const refusal = {
  noToken: () =>
    new GoogleError(
      403,
      'forbidden',
      'The request was not authenticated. Either allow unauthenticated invocations or set the proper Authorization header.',
    ),
  badToken: (why: string) =>
    new GoogleError(401, 'authError', why, {
      headers: {
        'www-authenticate':
          'Bearer error="invalid_token" error_description="The access token could not be verified"',
      },
    }),
  notInvoker: (email: string, service: string) =>
    new GoogleError(
      403,
      'forbidden',
      `The request was not authorized: ${email} has no permission run.routes.invoke on the service ${service}.`,
    ),
  bodyTooLarge: (maxBytes: number) =>
    new GoogleError(413, 'uploadTooLarge', `The request body is larger than ${maxBytes} bytes.`),
  unavailable: (service: string) =>
    new GoogleError(
      503,
      'backendError',
      `The service ${service} is unavailable: its instance could not be reached, or broke the connection before it answered.`,
    ),
  tooSlow: (service: string, timeoutMs: number) =>
    new GoogleError(
      504,
      'deadlineExceeded',
      `The service ${service} did not begin to answer within ${timeoutMs} ms.`,
    ),
};
