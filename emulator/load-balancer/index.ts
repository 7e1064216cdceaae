/**
 * The load balancer before the public names: a few paths go to services, everything else to the default. Plain HTTP, streams
 * both ways, keeps path and query as they came.
 */
import {
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestListener,
  type ServerResponse,
  request as send,
} from 'node:http';

/** Base addresses of services by path: `/ocsp` takes that path and everything below it. */
export type PathRules = Readonly<Record<string, string>>;

/** For `http.createServer`. A service that is away is 502, as Google's load balancer says it. */
export function loadBalancer(rules: PathRules, otherwise: RequestListener): RequestListener {
  const entries = Object.entries(rules);
  return (request, response) => {
    // Whoever uses this site as a proxy puts the host before the path.
    const target = (request.url ?? '/').replace(/^https?:\/\/[^/]*/, '');
    const path = target.replace(/\?.*$/, '');
    const rule = entries.find(([prefix]) => path === prefix || path.startsWith(`${prefix}/`));
    if (rule === undefined) otherwise(request, response);
    else passOn(rule[1], target, request, response);
  };
}

function passOn(base: string, target: string, request: IncomingMessage, response: ServerResponse): void {
  const { hostname, port } = new URL(base);
  const upstream = send({
    host: hostname,
    port,
    method: request.method ?? 'GET',
    path: target,
    headers: withoutConnection(request),
  });
  upstream.once('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, withoutConnection(answer));
    answer.pipe(response);
    answer.once('error', () => response.destroy());
  });
  upstream.once('error', () => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502, { 'content-type': 'text/plain' }).end('no healthy upstream\n');
  });
  response.once('close', () => upstream.destroy());
  request.pipe(upstream);
}

const withoutConnection = ({ headers }: IncomingMessage): OutgoingHttpHeaders =>
  Object.fromEntries(
    Object.entries(headers).filter(
      ([name]) => !['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding'].includes(name),
    ),
  );
