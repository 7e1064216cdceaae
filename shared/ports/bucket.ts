/**
 * The public bucket behind `http://pki.…`. Throws `storage-unavailable` (retryable), `storage-precondition`
 * (retryable: somebody else wrote in between).
 */
export interface Bucket {
  /** Undefined when the object does not exist. `generation` is the decimal string of the object's generation. */
  read(name: string): Promise<{ readonly bytes: Uint8Array; readonly generation: string } | undefined>;
  /** The same for an object that is too long to be in memory. Its parts are read once; whoever stops early gets no error. */
  readParts(
    name: string,
  ): Promise<{ readonly parts: AsyncIterable<Uint8Array>; readonly generation: string } | undefined>;
  /** Writes only when the object's generation still is `ifGeneration` (`'0'`: does not exist yet). */
  write(object: {
    name: string;
    bytes: Uint8Array | ObjectParts;
    contentType: string;
    cacheControl: string;
    ifGeneration: string;
  }): Promise<{ readonly generation: string }>;
}

/** An object that is never in memory as a whole; read more than once, and must be the same each time. */
export type ObjectParts = () => AsyncIterable<Uint8Array>;
