import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CallLog } from '../core/call-log.ts';
import type { EmulatorContext } from '../core/context.ts';
import type { CallFault } from '../core/faults.ts';
import { GoogleError } from '../core/google-error.ts';
import type { IdTokens } from '../core/rooms.ts';
import { KEEP_ALIVE_MS } from '../core/server.ts';
import { type Admitted, admit } from './admission.ts';
import { forward } from './forward.ts';
import { forwarded } from './headers.ts';
import { refusal } from './refusal.ts';
import type { CloudRunService } from './service.ts';

export interface FrontParts {
  readonly context: EmulatorContext;
  readonly calls: CallLog;
  readonly idTokens: IdTokens;
}

const MAX_BODY_BYTES = 32 * 1024 * 1024;
const TIMEOUT_MS = 300_000;

interface Outcome {
  readonly status: number;
  readonly caller: string | undefined;
  readonly reason?: string;
  readonly cut?: 'before' | 'after';
}

/** The front of one service: admission, faults, forwarding, the call log. */
export class Front {
  readonly #parts: FrontParts;
  readonly #service: CloudRunService;
  readonly #server: Server;
  readonly #inFlight = new Map<number, string>();
  #origin = '';
  #count = 0;

  constructor(parts: FrontParts, service: CloudRunService) {
    this.#parts = parts;
    this.#service = service;
    this.#server = createServer(
      { keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 },
      (request, response) => {
        this.#serve(request, response).catch((error: unknown) => {
          process.stderr.write(`emulator: ${error instanceof Error ? error.stack : String(error)}\n`);
          response.destroy();
        });
      },
    );
  }

  get name(): string {
    return this.#service.name;
  }

  /** With a trailing slash; empty until it listens. */
  get url(): string {
    return this.#origin === '' ? '' : `${this.#origin}/`;
  }

  pending(): readonly string[] {
    return [...this.#inFlight.values()];
  }

  /** Rejects with a sentence when the port is taken. */
  start(): Promise<void> {
    const { name, port } = this.#service;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => {
        reject(
          error.code === 'EADDRINUSE'
            ? new Error(
                `Port ${port} of the service ${name} is in use: stop what listens there, or choose another port.`,
                { cause: error },
              )
            : error,
        );
      });
      this.#server.listen(port, '127.0.0.1', () => {
        this.#origin = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
        resolve();
      });
    });
  }

  /** Breaks what is in flight. */
  stop(): Promise<void> {
    if (!this.#server.listening) return Promise.resolve();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedMs = performance.now();
    const verb = request.method ?? 'GET';
    const path = (request.url ?? '/').replace(/\?.*$/, '');
    const { methodOf, name } = this.#service;
    const method = methodOf?.(verb, path) ?? `functions.${name}`;
    this.#count += 1;
    const number = this.#count;
    this.#inFlight.set(number, `${name}: ${verb} ${path}`);
    try {
      const outcome = await this.#outcome(method, request, response);
      this.#parts.calls.add({
        at: this.#parts.context.clock.now().toISOString(),
        method,
        verb,
        path,
        ...outcome,
        durationMs: Math.round(performance.now() - startedMs),
      });
    } finally {
      this.#inFlight.delete(number);
    }
  }

  async #outcome(method: string, request: IncomingMessage, response: ServerResponse): Promise<Outcome> {
    const faults = this.#parts.context.faults.forCall(method);
    let caller: string | undefined;
    try {
      await this.#delay(faults, response);
      if (faults.some((fault) => fault.cut === 'before')) {
        request.socket.destroy();
        return { status: 499, caller, cut: 'before' };
      }
      const admitted = await this.#admit(request);
      caller = admitted?.email;
      const injected = faults.find((fault) => fault.status !== undefined);
      if (injected !== undefined) throw faultError(injected);
      const rubbish = faults.find((fault) => fault.body !== undefined);
      if (rubbish?.body !== undefined) {
        request.resume();
        response.writeHead(200, { 'content-type': 'text/html; charset=UTF-8' }).end(rubbish.body);
        return { status: 200, caller };
      }
      return await this.#forward(request, response, {
        caller,
        header: admitted?.header ?? {},
        loseAnswer: faults.some((fault) => fault.cut === 'after'),
      });
    } catch (error) {
      if (!(error instanceof GoogleError)) throw error;
      refuse(request, response, error);
      return { status: error.httpStatus, caller, reason: error.reason };
    }
  }

  async #forward(
    request: IncomingMessage,
    response: ServerResponse,
    admitted: { caller: string | undefined; header: Readonly<Record<string, string>>; loseAnswer: boolean },
  ): Promise<Outcome> {
    const { name, socketPath, maxBodyBytes = MAX_BODY_BYTES, timeoutMs = TIMEOUT_MS } = this.#service;
    if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes)
      throw refusal.bodyTooLarge(maxBodyBytes);
    const result = await forward(request, response, {
      service: name,
      socketPath,
      headers: {
        ...forwarded(request.headers, request.socket.remoteAddress ?? 'unknown'),
        ...admitted.header,
      },
      maxBodyBytes,
      timeoutMs,
      loseAnswer: admitted.loseAnswer,
    });
    const { caller } = admitted;
    if (result.kind === 'abandoned') return { status: 499, caller, reason: 'clientClosedRequest' };
    return { status: result.status, caller, ...(admitted.loseAnswer ? { cut: 'after' as const } : {}) };
  }

  async #admit(request: IncomingMessage): Promise<Admitted | undefined> {
    const { access, name } = this.#service;
    if (access === 'public') return undefined;
    return await admit({
      headers: request.headers,
      idTokens: this.#parts.idTokens,
      service: name,
      origin: this.#origin,
      access,
    });
  }

  /** Ends early when the client leaves. */
  async #delay(faults: readonly CallFault[], response: ServerResponse): Promise<void> {
    const latencyMs = faults.reduce((sum, fault) => sum + (fault.latencyMs ?? 0), 0);
    if (latencyMs === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, latencyMs);
      response.on('close', done);
      function done(): void {
        clearTimeout(timer);
        response.off('close', done);
        resolve();
      }
    });
  }
}

function refuse(request: IncomingMessage, response: ServerResponse, error: GoogleError): void {
  if (response.headersSent || response.destroyed) return;
  const body = Buffer.from(JSON.stringify(error.body()));
  response.writeHead(error.httpStatus, {
    ...error.options.headers,
    'content-type': 'application/json; charset=UTF-8',
    'content-length': body.length,
    // What is left of the request is not read, so the connection cannot be used again.
    ...(request.complete ? {} : { connection: 'close' }),
  });
  response.end(body);
}

function faultError(fault: CallFault): GoogleError {
  const status = fault.status ?? 503;
  const reason = fault.reason ?? (status === 429 ? 'rateLimitExceeded' : 'backendError');
  return new GoogleError(status, reason, fault.message ?? `Injected fault: ${reason}.`, {
    ...(fault.retryAfterSeconds === undefined
      ? {}
      : { headers: { 'retry-after': String(fault.retryAfterSeconds) } }),
  });
}
