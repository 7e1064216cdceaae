import { http } from '@google-cloud/functions-framework';
import { builtOnce } from './built-once.ts';
import { FUNCTIONS, type FunctionName } from './catalog.ts';
import type { Given } from './compose/parts/base.ts';
import { NOT_STARTED } from './not-started.ts';

/** Registers one function with the framework, under its deployed name. */
export function registerFunction(
  name: FunctionName,
  environment: Readonly<Record<string, string | undefined>>,
  given: Given = {},
): void {
  http(name, builtOnce(name, FUNCTIONS[name], environment, given, NOT_STARTED[name]));
}
