/** Looks at public addresses as a browser would: no credentials, no redirects, little read, not for long. */
export interface Seen {
  readonly status: number;
  readonly headers: Headers;
  /** The JSON object that was answered, or undefined. */
  readonly json: Readonly<Record<string, unknown>> | undefined;
  readonly startedAt: Date;
  readonly tookMs: number;
}

const TIMEOUT_MS = 10_000;
const MOST_CHARACTERS = 64 * 1024;

/** Answers what was seen, or in words why nothing was. */
export async function look(url: string, init: RequestInit = {}): Promise<Seen | string> {
  const startedAt = new Date();
  const from = performance.now();
  try {
    const response = await fetch(url, {
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...init,
    });
    const text = (await response.text()).slice(0, MOST_CHARACTERS);
    const tookMs = performance.now() - from;
    return { status: response.status, headers: response.headers, json: parsed(text), startedAt, tookMs };
  } catch (error) {
    if (error instanceof Error && error.name === 'TimeoutError')
      return `no answer within ${TIMEOUT_MS / 1000} s`;
    const { cause } = error as { cause?: { code?: unknown } };
    return typeof cause?.code === 'string'
      ? `the connection failed (${cause.code})`
      : 'the connection failed';
  }
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
