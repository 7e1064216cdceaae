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

  type Shape = { readonly [key: string]: unknown };
  /** Path and shape of each field, however deep. */
  const fieldsOf = (shape: Shape, path = ''): readonly (readonly [string, Shape])[] => [
    ...Object.entries((shape['properties'] ?? {}) as Record<string, Shape>).flatMap(([name, field]) => [
      [`${path}/${name}`, field] as const,
      ...fieldsOf(field, `${path}/${name}`),
    ]),
    ...(typeof shape['items'] === 'object' ? fieldsOf(shape['items'] as Shape, path) : []),
  ];
  const fields = new Map(fieldsOf(published as Shape));

  test('says of every field what it is for', () => {
    expect(fields.size).toBeGreaterThan(40);
    const silent = [...fields].filter(([, { description }]) => typeof description !== 'string');
    expect(silent.map(([path]) => path)).toEqual([]);
  });

  test.each([
    ['validity', '819d', true],
    ['validity', '820d', false],
    ['validity', '900d', false],
    ['validity', '0d', false],
    ['validity', '8760h', true],
    ['grace/wrappedKeys', '30d', true],
    ['grace/wrappedKeys', '29d', false],
    ['grace/wrappedKeys', '720h', true],
    ['grace/leave', '900d', true],
  ])('takes for %s %s: %s', (path, text, isTaken) => {
    const { pattern, anyOf = [] } = fields.get(`/rules/${path}`) as {
      pattern?: string;
      anyOf?: { pattern?: string }[];
    };
    const patterns = [pattern, ...anyOf.map((one) => one.pattern)].filter((one) => one !== undefined);
    expect(patterns).toHaveLength(1);
    expect(patterns.some((one) => new RegExp(one).test(text))).toBe(isTaken);
  });

  test('has the limits of the guard', () => {
    const limits = ['minimumPerHour', 'sharePercent', 'maximumPerHour'].map(
      (name) => fields.get(`/guard/${name}`)?.['maximum'],
    );
    expect(limits).toEqual([1_000, 50, 10_000]);
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
