/**
 * Cloud Storage: objects in a few buckets that the wiring makes, through the JSON API, and public buckets as web sites.
 * Uniform bucket-level access, no object versioning, no ACLs, no resumable uploads.
 */
import type { RequestListener } from 'node:http';
import type { EmulatorContext } from '../core/context.ts';
import type { Room } from '../core/rooms.ts';
import { Buckets } from './buckets.ts';
import { objectRoutes } from './objects.ts';
import { type PublicSiteOptions, publicSite } from './public-site.ts';
import type { BucketSettings } from './records.ts';

export type { BucketSettings, PublicSiteOptions };

export interface Storage extends Room {
  /** Serves a public bucket by plain HTTP, object name = path. Throws RangeError for one that is not public. */
  publicSite(options: PublicSiteOptions): RequestListener;
}

export function createStorage(
  context: EmulatorContext,
  parts: { readonly buckets: readonly BucketSettings[] },
): Storage {
  const buckets = new Buckets(context, parts.buckets);
  return {
    routes: objectRoutes({ buckets, tokens: context.tokens, rootUrl: context.rootUrl }),
    publicSite: (options) => publicSite(context, buckets, options),
  };
}
