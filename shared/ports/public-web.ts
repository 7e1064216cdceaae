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

/** A body that comes in parts and is never in memory as a whole; reading it throws as `get` does. */
export interface PublicAnswerInParts extends Omit<PublicAnswer, 'body'> {
  readonly parts: AsyncIterable<Uint8Array>;
}

export interface PublicWeb {
  get(url: string): Promise<PublicAnswer>;
  /** Read the parts to their end, or leave them alone: the time limit ends what is not read. */
  getParts(url: string): Promise<PublicAnswerInParts>;
  post(url: string, body: Uint8Array, contentType: string): Promise<PublicAnswer>;
}
