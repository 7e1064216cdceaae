import type { HttpFunction } from '@google-cloud/functions-framework';
import { parseSettings, type Settings } from '../shared/config/settings.ts';
import type { Given } from './compose/parts/base.ts';
import { type HttpAnswer, type HttpCall, prepareFramework, send, splitTarget } from './wire/http.ts';

/** Makes a function from its settings and whatever the caller already holds. Throws what is wrong with either. */
export type Build = (settings: Settings, given: Given) => Promise<HttpFunction>;

/**
 * What a function that cannot be built answers, and the id in it under which the log line is to be found. It must not need
 * anything that may have failed.
 */
export type NotStartedAnswer = (call: Pick<HttpCall, 'method' | 'path' | 'headers'>) => {
  readonly answer: HttpAnswer;
  readonly correlationId?: string;
};

const inGooglesForm: NotStartedAnswer = () => ({
  answer: {
    status: 503,
    body: {
      error: {
        code: 503,
        status: 'UNAVAILABLE',
        message: 'This function is not configured; its log says why.',
      },
    },
  },
});

/**
 * A function that is built at the first request, once; a build that fails is answered 503 and tried again at the
 * next, so that a database that comes up late does not need a new instance. What failed goes to the log, under the
 * name; the answer says only that it did,
 * in Google's form unless the function's protocol has another.
 */
export function builtOnce(
  name: string,
  build: Build,
  environment: Readonly<Record<string, string | undefined>>,
  given: Given = {},
  notStarted: NotStartedAnswer = inGooglesForm,
): HttpFunction {
  prepareFramework();
  let built: Promise<HttpFunction> | undefined;
  const start = async () => await build(parseSettings(environment), given);
  return async (request, response) => {
    built ??= start();
    const mine = built;
    let handler: HttpFunction;
    try {
      handler = await mine;
    } catch (error) {
      // Another request may have begun a new build meanwhile, which must stand.
      if (built === mine) built = undefined;
      const { answer, correlationId } = notStarted({
        method: request.method,
        path: splitTarget(request.url).path,
        headers: request.headers,
      });
      const message = error instanceof Error ? error.message : String(error);
      // JSON leaves out an id that is not there.
      const line = { severity: 'CRITICAL', event: 'not-started', function: name, correlationId, message };
      process.stdout.write(`${JSON.stringify(line)}\n`);
      send(response, answer);
      return;
    }
    await handler(request, response);
  };
}
