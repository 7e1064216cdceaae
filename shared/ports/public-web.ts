/**
 * The public addresses of our own certificates, fetched as anybody would: plain HTTP, no credentials, no redirect followed.
 * Throws `address-unreachable` (retryable) when nothing answers in time, or too much.
 */
export interface PublicAnswer {
  readonly status: number;
  /** Lower case, without parameters; empty where there is none. */
  readonly contentType: string;
  readonly body: Uint8Array;
}

export interface PublicWeb {
  get(url: string): Promise<PublicAnswer>;
  post(url: string, body: Uint8Array, contentType: string): Promise<PublicAnswer>;
}
