/**
 * `GET /healthz`: the process answers. `GET /readyz`: it can use keys, so requests may be sent to it. Both stand outside the
 * registered base address and say nothing a stranger could use.
 */
import { isSealwrightError } from '../../shared/errors.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { HttpAnswer, HttpHandler } from '../wire/http.ts';

/** Resolves when the part can be used; what it throws stays in the log, its code is shown. */
export type ReadinessCheck = () => Promise<void>;

const CHECK_TIMEOUT_MS = 3_000;
/** Probes come every few seconds from several machines, and a check may be a call of KMS. */
const KEPT_MS = 10_000;

export function withHealth(
  handler: HttpHandler,
  parts: {
    readonly checks: Readonly<Record<string, ReadinessCheck>>;
    /** More facts to show, such as how old the address feed is. */
    readonly facts?: () => Readonly<Record<string, unknown>>;
    readonly clock: Clock;
  },
): HttpHandler {
  let kept: { readonly at: number; readonly answer: Promise<HttpAnswer> } | undefined;
  return (call) => {
    if (call.path !== '/healthz' && call.path !== '/readyz') return handler(call);
    if (call.method !== 'GET' && call.method !== 'HEAD') return Promise.resolve({ status: 405 });
    if (call.path === '/healthz') return Promise.resolve({ status: 200, body: { alive: true } });
    const now = parts.clock.now().getTime();
    if (kept === undefined || now - kept.at >= KEPT_MS || now < kept.at) {
      kept = { at: now, answer: readiness(parts) };
    }
    return kept.answer;
  };
}

async function readiness(parts: Parameters<typeof withHealth>[1]): Promise<HttpAnswer> {
  const checks = await Promise.all(
    Object.entries(parts.checks).map(async ([name, check]) => [name, await verdict(check)] as const),
  );
  const ready = checks.every(([, result]) => result === 'ready');
  return {
    status: ready ? 200 : 503,
    body: { ready, checks: Object.fromEntries(checks), ...parts.facts?.() },
  };
}

async function verdict(check: ReadinessCheck): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('timeout'), CHECK_TIMEOUT_MS);
  });
  const result = check().then(
    () => 'ready',
    (error: unknown) => (isSealwrightError(error) ? error.code : 'internal'),
  );
  return await Promise.race([result, late]).finally(() => clearTimeout(timer));
}
