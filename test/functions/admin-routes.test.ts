import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ADMIN_ROUTES, findPath } from '../../functions/admin/routes.ts';

const PAGE = join(import.meta.dirname, '../../docs/admin-api.md');

const segments = (path: string): readonly string[] => path.split('/');

describe('docs/admin-api.md', () => {
  it('lists the calls of the table, each with who may and what it does, and no other', () => {
    const rows = [
      ...readFileSync(PAGE, 'utf8').matchAll(/^\| `(GET|POST) (\S+)` \| ([^|]+) \| (.+) \|$/gm),
    ].map(([, method, path, who, does]) => ({ method, path, who, does }));
    expect(rows).toEqual(ADMIN_ROUTES.map(({ method, path, who, does }) => ({ method, path, who, does })));
  });
});

describe("the admin API's table", () => {
  it('has each call once', () => {
    const calls = ADMIN_ROUTES.map(({ method, path }) => `${method} ${path}`);
    expect(new Set(calls).size).toBe(calls.length);
  });

  it('finds every row by its own path, with the value that stands for the capitals', () => {
    for (const route of ADMIN_ROUTES) {
      const found = findPath(segments(route.path.replace(/\/[A-Z]+/, '/17')));
      expect(found?.routes).toContain(route);
      expect(found?.id).toBe(/\/[A-Z]+/.test(route.path) ? '17' : '');
    }
  });

  it('prefers the path that is spelled out', () => {
    expect(findPath(segments('/v1/dead-letters/drop'))?.routes.map(({ method }) => method)).toEqual(['POST']);
    expect(findPath(segments('/v1/dead-letters/dropped'))?.routes.map(({ method }) => method)).toEqual([
      'GET',
    ]);
  });

  it.each(['/v1/users/', '/v1/held/', '/v1/held//approve', '/v1/users/1/explain/2', '/v1', '', '/v1/USER/x'])(
    'has no "%s"',
    (path) => {
      expect(findPath(segments(path))).toBeUndefined();
    },
  );
});
