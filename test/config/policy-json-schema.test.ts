import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { policyJsonSchema } from '../../shared/config/policy-json-schema.ts';
import { RULE } from '../../shared/config/policy-schema.ts';

const published: unknown = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../docs/policy.schema.json'), 'utf8'),
);

describe('the published JSON Schema of the policy file', () => {
  test('is that of the parser (sealwright policy schema > docs/policy.schema.json)', () => {
    expect(published).toEqual(policyJsonSchema());
  });

  test('knows every field of a rule, needs few of them, and takes no other', () => {
    const rule = (published as { properties: { rules: { items: Record<string, unknown> } } }).properties.rules
      .items;
    expect(Object.keys(rule['properties'] as object)).toEqual(Object.keys(RULE.shape));
    expect(rule).toMatchObject({
      required: ['name'],
      additionalProperties: false,
      oneOf: [{ required: ['orgUnit'] }, { required: ['group'] }],
      anyOf: [
        { required: ['keyService'] },
        { required: ['keySource'], properties: { keySource: { const: 'smart-card' } } },
      ],
    });
  });

  test('is what the documentation’s own example is written in', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/policy.md'), 'utf8');
    const example = /```yaml\n(.*?)```/s.exec(page)?.[1] ?? '';
    const fields = [...example.matchAll(/^ {4}(\w+):/gm)].map((match) => match[1]);
    expect(new Set(fields)).toEqual(
      new Set(Object.keys(RULE.shape).filter((name) => !['name', 'group'].includes(name))),
    );
  });
});
