/**
 * Cloud Run's part: the front that stands before every function. It checks who may call (or lets everybody), takes the
 * signature off the caller's token, streams the request to the function's own process and its answer back, and
 * says 503 while that process is away. It starts no processes and keeps no state.
 */
import type { Busy } from '../core/rooms.ts';
import { Front, type FrontParts } from './front.ts';
import type { CloudRunService, IamAccess } from './service.ts';

export { kaclsMethod } from './service.ts';
export type { CloudRunService, IamAccess };

export interface CloudRun extends Busy {
  /** Opens all fronts; when one cannot, none stays open and it throws a sentence that says why. */
  start(): Promise<void>;
  /** Closes all fronts and breaks what is in flight. */
  stop(): Promise<void>;
  /** Address of a service with a trailing slash. Throws RangeError for one that is not there or not started. */
  url(name: string): string;
}

export function createCloudRun(
  context: FrontParts['context'],
  parts: Omit<FrontParts, 'context'>,
  services: readonly CloudRunService[],
): CloudRun {
  const fronts = services.map((service) => new Front({ context, ...parts }, service));
  const twice = fronts.find((front, index) => fronts.findIndex(({ name }) => name === front.name) !== index);
  if (twice !== undefined) throw new RangeError(`Two services are named ${twice.name}.`);
  const stop = async () => {
    await Promise.all(fronts.map((front) => front.stop()));
  };
  return {
    start: async () => {
      const results = await Promise.allSettled(fronts.map((front) => front.start()));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed === undefined) return;
      await stop();
      throw failed.reason;
    },
    stop,
    url: (name) => {
      const url = fronts.find((front) => front.name === name)?.url ?? '';
      if (url === '') throw new RangeError(`The service ${name} is not there, or not started.`);
      return url;
    },
    pending: () => fronts.flatMap((front) => front.pending()),
  };
}
