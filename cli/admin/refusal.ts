/**
 * What can come back instead of an answer, each as one sentence that says what to do: from the network, from Cloud Run
 * and load balancers in front, from the admin API itself.
 */
import { CommandFailure, exitCodeOf } from '../failure.ts';
import { errorAnswer } from './answers.ts';
import { HOW_TO_GET_A_TOKEN } from './connection.ts';

interface UnavailableOptions {
  readonly code?: string;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** The admin API could not be reached, or says that it will answer later. Somebody who waits anyway waits for it. */
export class Unavailable extends CommandFailure {
  override readonly name: string = 'Unavailable';
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: UnavailableOptions = {}) {
    super(options.code ?? 'admin-unavailable', message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** There is something at this address, so one more try may help. */
export class Faltering extends Unavailable {
  override readonly name: string = 'Faltering';
}

/** The request may have arrived: only its answer is missing. */
export class AnswerLost extends Faltering {
  override readonly name = 'AnswerLost';
}

/** A request that got no answer. */
export function unreachable(baseUrl: string, error: unknown, timeoutMs: number): Unavailable {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const { code, message } = cause as NodeJS.ErrnoException;
  const host = new URL(baseUrl).host;
  const timedOut = error instanceof Error && error.name === 'TimeoutError';
  if (timedOut) {
    return new AnswerLost(`The admin API at ${baseUrl} did not answer within ${timeoutMs / 1000} seconds.`, {
      cause: error,
    });
  }
  switch (code) {
    case 'ECONNREFUSED':
      return new Unavailable(
        `Nothing listens at ${baseUrl}. Check --admin-url, and that the admin function runs.`,
        { cause: error },
      );
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new Unavailable(`The name ${host} could not be resolved. Check --admin-url and the network.`, {
        cause: error,
      });
    case 'ECONNRESET':
    case 'UND_ERR_SOCKET':
    case 'EPIPE':
      return new AnswerLost(`The connection to ${baseUrl} broke before an answer came.`, { cause: error });
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return new Unavailable(`What listens at ${host} does not speak TLS. Check --admin-url.`, {
        cause: error,
      });
    default: {
      const said = `The admin API at ${baseUrl} could not be reached: ${message.trim()}${code === undefined || message.includes(code) ? '' : ` (${code})`}.`;
      // Certificates are judged before anything is sent; whatever else this is may have come after.
      return code === undefined || /CERT|SIGNATURE|^ERR_(SSL|TLS)/.test(code)
        ? new Unavailable(said, { cause: error })
        : new AnswerLost(said, { cause: error });
    }
  }
}

/** An answer that is none to what was asked; `answer` is its body where that is JSON. */
export function refusal(baseUrl: string, response: Response, answer: unknown): CommandFailure {
  const parsed = errorAnswer.safeParse(answer);
  if (!parsed.success) return notTheAdminApi(baseUrl, response);
  const { message, details } = parsed.data.error;
  const code = details?.[0]?.reason ?? `http-${response.status}`;
  if (response.status === 503 || response.status === 429) {
    return new Faltering(message, { code, retryAfterMs: retryAfter(response) });
  }
  const advice =
    response.status === 401
      ? ` ${HOW_TO_GET_A_TOKEN}`
      : code === 'forbidden'
        ? ' Whoever runs this service adds admins in its setting SEALWRIGHT_ADMINS.'
        : '';
  return new CommandFailure(code, `${message}${advice}`, {
    exitCode: exitCodeOf(code),
    ...(details === undefined ? {} : { details }),
  });
}

/** Cloud Run and load balancers answer in HTML before our code is asked. */
function notTheAdminApi(baseUrl: string, response: Response): CommandFailure {
  const { status } = response;
  const type = response.headers.get('content-type')?.split(';')[0] ?? 'no content type';
  if (status === 401) {
    return new CommandFailure(
      'unauthenticated',
      `${baseUrl} refused the token before Sealwright was asked (HTTP 401). ${HOW_TO_GET_A_TOKEN}`,
    );
  }
  if (status === 403) {
    return new CommandFailure(
      'forbidden',
      `${baseUrl} refused the call before Sealwright was asked (HTTP 403): your account needs roles/run.invoker on the admin function.`,
    );
  }
  if (status >= 300 && status < 400) {
    return new CommandFailure(
      'not-the-admin-api',
      `${baseUrl} redirects to ${response.headers.get('location') ?? 'another address'} instead of answering. Check --admin-url: it must be the admin function itself.`,
    );
  }
  if (status === 502 || status === 503 || status === 504 || status === 429) {
    return new Faltering(`${baseUrl} is not available now (HTTP ${status}). Try again later.`, {
      retryAfterMs: retryAfter(response),
    });
  }
  return new CommandFailure(
    'not-the-admin-api',
    `${baseUrl} answered ${type} (HTTP ${status}) where the admin API answers JSON. Check --admin-url.`,
  );
}

function retryAfter(response: Response): number | undefined {
  const seconds = Number(response.headers.get('retry-after') ?? 'none');
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}
