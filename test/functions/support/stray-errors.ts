/** A function whose handler leaves errors behind that nobody catches: a source for the functions framework's own command. */
import { EventEmitter } from 'node:events';
import { http } from '@google-cloud/functions-framework';
import { asHttpFunction } from '../../../functions/wire/http.ts';
import { jsonLog } from '../../../shared/adapters/log.ts';

const STRAYS: Readonly<Record<string, () => void>> = {
  '/timer': () => void setTimeout(() => fail('a timer'), 1),
  '/emitter': () => {
    const emitter = new EventEmitter();
    setImmediate(() => emitter.emit('error', new Error('an emitter')));
  },
  '/promise': () => void Promise.resolve().then(() => fail('a promise')),
};
process.on('SIGUSR2', () => void setTimeout(() => fail('no request'), 1));

function fail(where: string): never {
  throw new Error(`thrown in ${where}`);
}

http(
  'stray-errors',
  asHttpFunction(
    async (call) => {
      if (call.path === '/process') {
        const { domain, pid } = process as NodeJS.Process & { domain?: unknown };
        return {
          status: 200,
          body: { pid, domain: domain === undefined || domain === null ? 'none' : 'one' },
        };
      }
      STRAYS[call.path]?.();
      return await new Promise(() => undefined);
    },
    { name: 'stray-errors', log: jsonLog(), maxBodyBytes: 1000 },
  ),
);
