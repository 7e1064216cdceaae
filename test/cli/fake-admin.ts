/** An admin API of canned answers that remembers what it was asked. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly method: string;
  /** With the query. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON, a text as it is. */
  readonly body?: object | string;
  /** Ends the connection instead of answering. */
  readonly cut?: true;
}

export interface FakeAdmin {
  readonly url: string;
  readonly asked: Asked[];
  /** The next requests' answers, by method and target; the last one of a list is repeated. */
  answer(requestLine: string, ...answers: readonly Answer[]): void;
  /** For what no `answer` was given. */
  otherwise(answer: Answer): void;
  reset(): void;
  close(): Promise<void>;
}

const NOT_FOUND: Answer = {
  status: 404,
  ...errorBody(404, 'NOT_FOUND', 'not-found', 'There is no such thing.'),
};

export function errorBody(code: number, status: string, reason: string, message: string): { body: object } {
  return { body: { error: { code, status, message, details: [{ reason }] } } };
}

export async function startFakeAdmin(): Promise<FakeAdmin> {
  const asked: Asked[] = [];
  const answers = new Map<string, Answer[]>();
  let fallback = NOT_FOUND;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const { method = '', url: target = '', headers } = request;
    asked.push({ method, target, headers, body: text === '' ? undefined : JSON.parse(text) });
    const list = answers.get(`${method} ${target}`);
    const answer = (list !== undefined && list.length > 1 ? list.shift() : list?.[0]) ?? fallback;
    if (answer.cut === true) {
      request.socket.destroy();
      return;
    }
    const isText = typeof answer.body === 'string';
    response.writeHead(answer.status ?? 200, {
      'content-type': isText ? 'text/html; charset=utf-8' : 'application/json; charset=utf-8',
      ...answer.headers,
    });
    response.end(isText ? answer.body : JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked,
    answer: (requestLine, ...given) => void answers.set(requestLine, [...given]),
    otherwise: (answer) => {
      fallback = answer;
    },
    reset() {
      asked.length = 0;
      answers.clear();
      fallback = NOT_FOUND;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
