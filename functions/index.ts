/** Registers the names Terraform deploys, nothing else. */
import { FUNCTION_NAMES } from './catalog.ts';
import { registerFunction } from './register.ts';

for (const name of FUNCTION_NAMES) registerFunction(name, process.env);
