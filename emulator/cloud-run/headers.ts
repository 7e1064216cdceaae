import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';

/** RFC 9110 section 7.6.1: these are between two neighbours and go no further. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** Headers to pass on: without those of this hop, and without those the Connection header names. */
export function endToEnd(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name) && !named.includes(name)),
  );
}

/** What the function gets to see: the client's headers, where the request came from, and a trace to log under. */
export function forwarded(headers: IncomingHttpHeaders, clientAddress: string): OutgoingHttpHeaders {
  const before = headers['x-forwarded-for'];
  const trace = traceOf(headers.traceparent);
  // The front itself has told the client to go on.
  const { expect: _answered, ...passed } = endToEnd(headers);
  return {
    ...passed,
    // A body of unknown length stays one, also under verbs that rarely have a body.
    ...(headers['transfer-encoding'] === undefined ? {} : { 'transfer-encoding': 'chunked' }),
    'x-forwarded-for': before === undefined ? clientAddress : `${String(before)}, ${clientAddress}`,
    'x-forwarded-proto': 'http',
    traceparent: `00-${trace.id}-${trace.span}-${trace.flags}`,
    'x-cloud-trace-context': `${trace.id}/${BigInt(`0x${trace.span}`)}${trace.flags === '01' ? ';o=1' : ''}`,
  };
}

/** The caller's trace (https://www.w3.org/TR/trace-context/), or a new one that nobody samples. */
function traceOf(traceparent: unknown): { id: string; span: string; flags: string } {
  const given = /^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])$/.exec(String(traceparent ?? ''));
  const [, id = '', span = '', flags = ''] = given ?? [];
  if (given !== null && !/^0+$/.test(id) && !/^0+$/.test(span)) return { id, span, flags };
  const fresh = randomBytes(24).toString('hex');
  return { id: fresh.slice(0, 32), span: fresh.slice(32), flags: '00' };
}
