/**
 * Errors in the shape Google's REST APIs send them: `error.code`, `message`, `errors[]` (domain and reason, which
 * clients retry by) and `status`. https://developers.google.com/workspace/gmail/api/guides/handle-errors
 */
const STATUS_OF_CODE: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ALREADY_EXISTS',
  411: 'INVALID_ARGUMENT',
  412: 'FAILED_PRECONDITION',
  413: 'INVALID_ARGUMENT',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  501: 'UNIMPLEMENTED',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

export interface GoogleErrorOptions {
  /** Overrides the status that goes with the HTTP code, such as `FAILED_PRECONDITION` with 400. */
  readonly status?: string;
  readonly domain?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly details?: readonly unknown[];
  readonly location?: string;
  readonly locationType?: string;
}

export class GoogleError extends Error {
  override readonly name = 'GoogleError';
  readonly httpStatus: number;
  readonly reason: string;
  readonly options: GoogleErrorOptions;

  constructor(httpStatus: number, reason: string, message: string, options: GoogleErrorOptions = {}) {
    super(message);
    this.httpStatus = httpStatus;
    this.reason = reason;
    this.options = options;
  }

  get status(): string {
    return this.options.status ?? STATUS_OF_CODE[this.httpStatus] ?? 'UNKNOWN';
  }

  /** The JSON body Google would send. */
  body(): unknown {
    const { domain = 'global', location, locationType, details } = this.options;
    return {
      error: {
        code: this.httpStatus,
        message: this.message,
        errors: [
          {
            message: this.message,
            domain,
            reason: this.reason,
            ...(location === undefined ? {} : { location }),
            ...(locationType === undefined ? {} : { locationType }),
          },
        ],
        status: this.status,
        ...(details === undefined ? {} : { details }),
      },
    };
  }
}

export const invalidArgument = (message: string, options?: GoogleErrorOptions) =>
  new GoogleError(400, 'invalidArgument', message, options);

export const failedPrecondition = (message: string, options?: GoogleErrorOptions) =>
  new GoogleError(400, 'failedPrecondition', message, { status: 'FAILED_PRECONDITION', ...options });

export const notFound = (message = 'Requested entity was not found.', options?: GoogleErrorOptions) =>
  new GoogleError(404, 'notFound', message, options);

export const alreadyExists = (message = 'Requested entity already exists', options?: GoogleErrorOptions) =>
  new GoogleError(409, 'alreadyExists', message, options);

export const permissionDenied = (message: string, options?: GoogleErrorOptions) =>
  new GoogleError(403, 'forbidden', message, options);
