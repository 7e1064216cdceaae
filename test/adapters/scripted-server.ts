/**
 * A small HTTP server that answers what a test tells it to, in Google's shapes, and remembers what it was asked. For
 * answers the emulator never gives (a broken page, each status with each reason); everything else is tested against
 * the emulator.
 */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly verb: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Scripted {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text and bytes go out as they are, anything else as JSON, undefined as an empty body. */
  readonly body?: unknown;
  /** Ends the connection instead of answering. */
  readonly cut?: boolean;
  /** Takes the request and never answers. */
  readonly silent?: boolean;
}

export type Script = (asked: Asked) => Scripted | undefined;

export class ScriptedServer {
  readonly #server: Server;
  #script: Script = () => undefined;
  asked: Asked[] = [];
  rootUrl = '';

  constructor() {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const url = new URL(request.url ?? '/', 'http://scripted.invalid');
      const asked: Asked = {
        verb: request.method ?? '',
        path: decodeURIComponent(url.pathname),
        query: url.searchParams,
        headers: request.headers,
        body: Buffer.concat(chunks).toString('utf8'),
      };
      this.asked.push(asked);
      const answer = this.#script(asked) ?? googleError(404, 'notFound', `The script has no ${asked.path}.`);
      if (answer.silent === true) return;
      if (answer.cut === true) {
        request.socket.destroy();
        return;
      }
      const { body } = answer;
      const raw = typeof body === 'string' || body instanceof Uint8Array;
      response.writeHead(answer.status ?? 200, {
        ...(body === undefined
          ? {}
          : { 'content-type': raw ? 'application/octet-stream' : 'application/json; charset=UTF-8' }),
        ...answer.headers,
      });
      response.end(body === undefined ? undefined : raw ? body : JSON.stringify(body));
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.rootUrl = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
    return this;
  }

  /** Answers by this script from now on, and forgets what was asked so far. */
  play(script: Script): void {
    this.#script = script;
    this.asked = [];
  }

  /** The answers in order; the last one again for whatever comes after. */
  playInOrder(...answers: readonly Scripted[]): void {
    let next = 0;
    this.play(() => {
      const answer = answers[Math.min(next, answers.length - 1)];
      next += 1;
      return answer;
    });
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const STATUS: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ALREADY_EXISTS',
  412: 'FAILED_PRECONDITION',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
};

/** An error as Google's REST APIs send it. */
export function googleError(
  code: number,
  reason: string,
  message = 'Google says no.',
  more: { status?: string; headers?: Readonly<Record<string, string>> } = {},
): Scripted {
  const status = more.status ?? STATUS[code];
  return {
    status: code,
    ...(more.headers === undefined ? {} : { headers: more.headers }),
    body: { error: { code, message, errors: [{ message, domain: 'global', reason }], status } },
  };
}
