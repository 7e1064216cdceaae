import type { OcspResponder } from '../../../shared/authority/ocsp-responder.ts';
import { retryable } from '../../../shared/errors.ts';
import { ocspError } from '../../../shared/pki/ocsp.ts';
import type { PublicAnswer, PublicWeb } from '../../../shared/ports/public-web.ts';
import { type FakeBucket, inParts } from './bucket.ts';

/** The public names as the world sees them: the bucket's objects, an OCSP responder, and whatever a test puts in their place. */
export interface FakePublicWeb extends PublicWeb {
  /** Instead of what would be there; `away` answers nothing. Undefined takes it back. */
  put(url: string, answer: Partial<PublicAnswer> | 'away' | undefined): void;
  readonly fetched: readonly string[];
}

export function fakePublicWeb(options: {
  readonly bucket: FakeBucket;
  readonly ocspUrl?: string;
  readonly respond?: OcspResponder;
}): FakePublicWeb {
  const instead = new Map<string, Partial<PublicAnswer> | 'away'>();
  const fetched: string[] = [];
  const nothing: PublicAnswer = { status: 404, contentType: 'application/xml', body: new Uint8Array() };
  /** OCSP by GET: what was put under the responder's address with a slash, else what was put there for both. */
  const insteadUnder = (url: string) => {
    const { ocspUrl } = options;
    return ocspUrl !== undefined && url.startsWith(`${ocspUrl}/`)
      ? (instead.get(`${ocspUrl}/`) ?? instead.get(ocspUrl))
      : undefined;
  };
  const replaced = (url: string, answer: PublicAnswer): PublicAnswer => {
    fetched.push(url);
    const other = instead.get(url) ?? insteadUnder(url);
    if (other === 'away')
      throw retryable('address-unreachable', `The public address ${url} could not be fetched: away.`);
    return { ...answer, ...other };
  };
  const ask = async (url: string, body: Uint8Array): Promise<PublicAnswer> => {
    const reply = (await options.respond?.(body)) ?? 'internalError';
    return replaced(url, {
      status: 200,
      contentType: 'application/ocsp-response',
      body: typeof reply === 'string' ? ocspError(reply) : reply.der,
    });
  };
  const get = (url: string): PublicAnswer => {
    const object = options.bucket.object(new URL(url).pathname.slice(1));
    return replaced(
      url,
      object === undefined ? nothing : { status: 200, contentType: object.contentType, body: object.bytes },
    );
  };
  return {
    fetched,
    put: (url, answer) => {
      if (answer === undefined) instead.delete(url);
      else instead.set(url, answer);
    },
    get: async (url) => {
      const { ocspUrl } = options;
      if (ocspUrl === undefined || !url.startsWith(`${ocspUrl}/`)) return get(url);
      return ask(url, Buffer.from(decodeURIComponent(url.slice(ocspUrl.length + 1)), 'base64'));
    },
    getParts: async (url) => {
      const { body, ...answer } = get(url);
      return { ...answer, parts: inParts(body) };
    },
    post: async (url, body) => (url === options.ocspUrl ? ask(url, body) : replaced(url, nothing)),
  };
}
