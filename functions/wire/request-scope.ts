/**
 * What the functions framework runs each request in, without what it costs. The framework wants a `node:domain`, so that an error
 * which nobody catches is answered 500 and ends that request alone. A Domain however switches on async hooks that follow every
 * promise of the process for good, which takes half of a look's processor time
 * (docs/decisions/0026-requests-run-without-a-domain.md). The same is had from `AsyncLocalStorage`, which costs next to nothing:
 * an error's own context says whose request it was.
 *
 * This will not help errors outside any request: those end the process as they always did.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import domain from 'node:domain';
import { EventEmitter } from 'node:events';

/** What the framework asks of a domain: `on('error', …)` and `run`. */
class RequestScope extends EventEmitter {
  /** Runs `work`; errors that nothing caught, thrown there or in whatever it sets off, are emitted as `error`. */
  run<T>(work: () => T): T {
    return scopes.run(this, work);
  }
}

const scopes = new AsyncLocalStorage<RequestScope>();
let replaced = false;

/** Once per process, before the first request. */
export function runRequestsWithoutDomains(): void {
  if (replaced) return;
  replaced = true;
  // The framework reads the property at each request, so it does not matter which of us was loaded first.
  Object.defineProperty(domain, 'create', { value: createScope, writable: true, configurable: true });
}

let containing = false;

function createScope(): RequestScope {
  // Not before the first request: by then the framework has registered the listeners that end the process.
  if (!containing) contain();
  containing = true;
  return new RequestScope();
}

function contain(): void {
  process.on('uncaughtException', replacing('uncaughtException'));
  // Without a listener Node raises what nobody handled as an uncaught exception, which the one above takes.
  if (process.listenerCount('unhandledRejection') > 0)
    process.on('unhandledRejection', replacing('unhandledRejection'));
}

/** A listener in the place of those that are there, which hear only of what belongs to no request. */
function replacing(event: 'uncaughtException' | 'unhandledRejection') {
  const others = process.rawListeners(event);
  process.removeAllListeners(event);
  return (error: unknown, more: unknown): void => {
    const scope = scopes.getStore();
    if (scope !== undefined) {
      scope.emit('error', error);
      return;
    }
    // Nobody listened: as without us, the process ends with the error's stack.
    if (others.length === 0) throw error;
    for (const listener of others) listener.call(process, error, more);
  };
}
