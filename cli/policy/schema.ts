import { policyJsonSchema } from '../../shared/config/policy-json-schema.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';

export const policySchema: Command = {
  name: 'policy schema',
  summary: 'the JSON Schema of the policy file, for editors',
  operands: [],
  flags: {},
  notes: [
    'Example: sealwright policy schema > policy.schema.json',
    'Then the first line of the policy file: # yaml-language-server: $schema=policy.schema.json',
  ],
  run() {
    const schema = policyJsonSchema();
    return Promise.resolve({ exitCode: EXIT.done, document: schema, text: JSON.stringify(schema, null, 2) });
  },
};
