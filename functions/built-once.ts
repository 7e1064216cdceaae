import type { HttpFunction } from '@google-cloud/functions-framework';
import { parseSettings, type Settings } from '../shared/config/settings.ts';
import type { Given } from './compose/parts/base.ts';
import { prepareFramework } from './wire/http.ts';

/** Makes a function from its settings and whatever the caller already holds. Throws what is wrong with either. */
export type Build = (settings: Settings, given: Given) => Promise<HttpFunction>;

/**
 * A function that is built at the first request, once; a build that fails is answered 503 and tried again at the
 * next, so that a database that comes up late does not need a new instance. What failed goes to the log, under the
 * name; the answer says only that it did.
 */
export function builtOnce(
  name: string,
  build: Build,
  environment: Readonly<Record<string, string | undefined>>,
  given: Given = {},
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
      const message = error instanceof Error ? error.message : String(error);
      process.stdout.write(
        `${JSON.stringify({ severity: 'CRITICAL', event: 'not-started', function: name, message })}\n`,
      );
      response.status(503).json({
        error: {
          code: 503,
          status: 'UNAVAILABLE',
          message: 'This function is not configured; its log says why.',
        },
      });
      return;
    }
    await handler(request, response);
  };
}
