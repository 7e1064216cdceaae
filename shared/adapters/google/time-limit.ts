/**
 * Gives up waiting after `limitMs` of real time, with the error that `fetch` throws then. The work itself is not
 * stopped: for clients that have no time limit of their own and cannot be told to stop.
 */
export async function withinTimeLimit<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new DOMException(`There was no answer within ${limitMs} milliseconds.`, 'TimeoutError')),
      limitMs,
    );
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
