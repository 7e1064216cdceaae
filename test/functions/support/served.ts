import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type HttpFunction, http } from '@google-cloud/functions-framework';
import { getTestServer } from '@google-cloud/functions-framework/testing';
import { asHttpFunction, type HttpHandler } from '../../../functions/wire/http.ts';
import type { Log } from '../../../shared/ports/log.ts';

/** What came back: status, headers, the text, and the text as JSON where it is some. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: unknown;
}

export interface Request {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** A function behind the functions framework's own server, on a port of 127.0.0.1. */
export interface Served {
  readonly url: string;
  /** POST unless told otherwise. */
  request(path: string, request?: Request): Promise<Answer>;
  close(): Promise<void>;
}

/** `name` is the registered one already, or belongs to a function that is registered here. */
export async function serve(what: string | HttpFunction): Promise<Served> {
  const name = typeof what === 'string' ? what : `test-${randomUUID()}`;
  if (typeof what !== 'string') http(name, what);
  const server: Server = getTestServer(name);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    async request(path, { method = 'POST', headers = {}, body } = {}) {
      const response = await fetch(`${url}${path}`, {
        method,
        headers,
        redirect: 'manual',
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : Buffer.from(body) }),
      });
      const text = await response.text();
      return { status: response.status, headers: response.headers, text, json: parsed(text) };
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A handler behind the same edge as the deployed one, with room enough for every body that the test sends. */
export const serveHandler = (handler: HttpHandler, log: Log): Promise<Served> =>
  serve(asHttpFunction(handler, { name: 'under-test', log, maxBodyBytes: 16 * 1024 * 1024 }));

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The error answer of the functions, to compare with: status, code and a part of the sentence. */
export const refusal = (status: number, reason: string, message: string | RegExp = /./) => ({
  status,
  json: {
    error: {
      code: status,
      message: expectText(message),
      details: [{ reason }],
    },
  },
});

function expectText(message: string | RegExp): unknown {
  return {
    asymmetricMatch: (text: unknown) =>
      typeof text === 'string' && (typeof message === 'string' ? text.includes(message) : message.test(text)),
    toString: () => `a sentence with ${message}`,
  };
}
