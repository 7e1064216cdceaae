import { type HttpFunction, http } from '@google-cloud/functions-framework';
import { parseSettings } from '../shared/config/settings.ts';
import { FUNCTIONS, type FunctionName } from './catalog.ts';
import type { Given } from './compose.ts';
import { receiveBodiesRaw } from './wire/http.ts';

/**
 * Registers one function with the framework. It is built at the first request, once; a build that fails is tried
 * again at the next, so that a database that comes up late does not need a new instance.
 */
export function registerFunction(
  name: FunctionName,
  environment: Readonly<Record<string, string | undefined>>,
  given: Given = {},
): void {
  receiveBodiesRaw();
  let built: Promise<HttpFunction> | undefined;
  http(name, async (request, response) => {
    built ??= FUNCTIONS[name](parseSettings(environment), given);
    let handler: HttpFunction;
    try {
      handler = await built;
    } catch (error) {
      built = undefined;
      const message = error instanceof Error ? error.message : String(error);
      process.stdout.write(
        `${JSON.stringify({ severity: 'CRITICAL', event: 'not-started', function: name, message })}\n`,
      );
      response
        .status(503)
        .json({
          error: {
            code: 503,
            status: 'UNAVAILABLE',
            message: 'This function is not configured; its log says why.',
          },
        });
      return;
    }
    await handler(request, response);
  });
}
