import { z } from 'zod';
import { FILE } from './policy-schema.ts';

interface JsonSchema {
  readonly properties: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}

/**
 * The policy file's shape as JSON Schema draft 7, which editors understand; `docs/policy.schema.json` is a copy of it.
 * What needs more than one field at a time (contradictions, what the directory knows) only `policy check` can tell.
 */
export function policyJsonSchema(): unknown {
  const schema = z.toJSONSchema(FILE, { io: 'input', target: 'draft-7' }) as unknown as JsonSchema;
  const rules = schema.properties['rules'] as { readonly items: JsonSchema };
  return {
    ...schema,
    title: 'Sealwright policy',
    properties: {
      ...schema.properties,
      rules: {
        ...rules,
        items: {
          ...rules.items,
          oneOf: [{ required: ['orgUnit'] }, { required: ['group'] }],
          anyOf: [
            { required: ['keyService'] },
            { required: ['keySource'], properties: { keySource: { const: 'smart-card' } } },
          ],
        },
      },
    },
  };
}
