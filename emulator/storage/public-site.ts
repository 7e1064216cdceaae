/**
 * A public bucket behind a load balancer, under a host name of the customer's: plain HTTP, GET and HEAD, no redirect.
 * This is where relying parties all over the world read CRLs and issuer certificates.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { CallLog } from '../core/call-log.ts';
import type { EmulatorContext } from '../core/context.ts';
import type { CallFault } from '../core/faults.ts';
import type { Buckets } from './buckets.ts';
import type { StoredObject } from './records.ts';

export interface PublicSiteOptions {
  readonly bucket: string;
  readonly calls: CallLog;
  /** Name of its calls in the call log and for faults, such as `pki.get`. */
  readonly method: string;
}

interface SiteAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** For `http.createServer`. Throws RangeError for a bucket that is not public. */
export function publicSite(
  context: EmulatorContext,
  buckets: Buckets,
  options: PublicSiteOptions,
): RequestListener {
  if (!buckets.isPublic(options.bucket)) {
    throw new RangeError(`The bucket ${options.bucket} is not public, so it cannot be a site.`);
  }
  return (request, response) => {
    serve(context, buckets, options, request, response).catch((error: unknown) => {
      process.stderr.write(`emulator: ${error instanceof Error ? error.stack : String(error)}\n`);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  };
}

async function serve(
  context: EmulatorContext,
  buckets: Buckets,
  options: PublicSiteOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const startedMs = performance.now();
  const verb = request.method ?? 'GET';
  // Without a query, and without the host a proxy puts before the path.
  const pathname = (request.url ?? '/').replace(/^https?:\/\/[^/]*/, '').replace(/\?.*$/, '');
  const faults = context.faults.forCall(options.method);
  const latencyMs = faults.reduce((sum, fault) => sum + (fault.latencyMs ?? 0), 0);
  if (latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, latencyMs));
  const cut = faults.find((fault) => fault.cut !== undefined)?.cut;
  const refusal = faults.find((fault) => fault.status !== undefined);
  const answer =
    refusal === undefined ? answerTo(buckets, options.bucket, request, pathname) : faultAnswer(refusal);
  options.calls.add({
    at: context.clock.now().toISOString(),
    method: options.method,
    verb,
    path: pathname,
    caller: undefined,
    status: answer.status,
    ...(cut === undefined ? {} : { cut }),
    durationMs: Math.round(performance.now() - startedMs),
  });
  if (cut !== undefined) {
    request.socket.destroy();
    return;
  }
  request.resume();
  response.sendDate = false;
  response.writeHead(answer.status, { ...answer.headers, date: context.clock.now().toUTCString() });
  response.end(verb === 'HEAD' ? undefined : answer.body);
}

function answerTo(buckets: Buckets, bucket: string, request: IncomingMessage, pathname: string): SiteAnswer {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    const refused = xmlError(405, 'MethodNotAllowed', 'The specified method is not allowed.');
    return { ...refused, headers: { ...refused.headers, allow: 'GET, HEAD' } };
  }
  const name = objectName(pathname);
  const object = name === undefined ? undefined : buckets.find(bucket, name);
  if (object === undefined) return xmlError(404, 'NoSuchKey', 'The specified key does not exist.');
  const content = Buffer.from(object.content, 'base64');
  const validators = {
    etag: etagOf(object),
    'last-modified': new Date(object.timeCreated).toUTCString(),
    // What Google sets on a public object that says nothing itself.
    'cache-control': object.cacheControl ?? 'public, max-age=3600',
  };
  if (isUnchanged(request, object)) return { status: 304, headers: validators, body: Buffer.alloc(0) };
  const headers = {
    ...validators,
    'content-type': object.contentType,
    'content-length': String(content.length),
    ...(object.contentEncoding === undefined ? {} : { 'content-encoding': object.contentEncoding }),
    ...(object.contentDisposition === undefined ? {} : { 'content-disposition': object.contentDisposition }),
  };
  return { status: 200, headers, body: content };
}

/** RFC 9110 section 13.1: If-None-Match decides where it is given, else If-Modified-Since. */
function isUnchanged(request: IncomingMessage, object: StoredObject): boolean {
  const noneMatch = request.headers['if-none-match'];
  if (noneMatch !== undefined) {
    const tags = noneMatch.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
    return tags.includes('*') || tags.includes(etagOf(object));
  }
  const since = Date.parse(request.headers['if-modified-since'] ?? '');
  if (Number.isNaN(since)) return false;
  return Math.floor(Date.parse(object.timeCreated) / 1000) * 1000 <= since;
}

/** The XML API's etag: the MD5 of the content in hex. */
const etagOf = (object: StoredObject): string => `"${Buffer.from(object.md5Hash, 'base64').toString('hex')}"`;

function objectName(pathname: string): string | undefined {
  try {
    return decodeURIComponent(pathname.slice(1));
  } catch {
    return undefined;
  }
}

function faultAnswer(fault: CallFault): SiteAnswer {
  const answer = xmlError(
    fault.status ?? 503,
    fault.reason ?? 'ServiceUnavailable',
    fault.message ?? 'Injected fault.',
  );
  if (fault.retryAfterSeconds === undefined) return answer;
  return { ...answer, headers: { ...answer.headers, 'retry-after': String(fault.retryAfterSeconds) } };
}

function xmlError(status: number, code: string, message: string): SiteAnswer {
  const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const body = Buffer.from(
    `<?xml version='1.0' encoding='UTF-8'?><Error><Code>${escaped(code)}</Code><Message>${escaped(message)}</Message></Error>`,
  );
  return {
    status,
    headers: {
      'content-type': 'application/xml; charset=UTF-8',
      'cache-control': 'private, max-age=0',
      'content-length': String(body.length),
    },
    body,
  };
}
