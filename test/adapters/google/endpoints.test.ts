import { describe, expect, it } from 'vitest';
import {
  gaxEndpoint,
  googleEndpoints,
  restRoot,
  storageEndpoint,
  tokenUrl,
} from '../../../shared/adapters/google/endpoints.ts';
import { isSealwrightError } from '../../../shared/errors.ts';

describe('the addresses of Google', () => {
  it.each([undefined, ''])('are its own without a root (%j), and the clients keep their defaults', (root) => {
    const endpoints = googleEndpoints(root);
    expect(endpoints).toEqual({});
    expect(restRoot(endpoints)).toEqual({});
    expect(gaxEndpoint(endpoints)).toEqual({});
    expect(storageEndpoint(endpoints)).toEqual({});
    expect(tokenUrl(endpoints)).toBe('https://oauth2.googleapis.com/token');
  });

  it('are all under one root where one is given, with or without its slash', () => {
    for (const root of ['http://127.0.0.1:8600', 'http://127.0.0.1:8600/']) {
      const endpoints = googleEndpoints(root);
      expect(restRoot(endpoints)).toEqual({ rootUrl: 'http://127.0.0.1:8600/' });
      expect(tokenUrl(endpoints)).toBe('http://127.0.0.1:8600/token');
      expect(gaxEndpoint(endpoints)).toEqual({
        apiEndpoint: '127.0.0.1',
        port: 8600,
        protocol: 'http',
        fallback: 'rest',
      });
      expect(storageEndpoint(endpoints)).toEqual({
        apiEndpoint: 'http://127.0.0.1:8600',
        useAuthWithCustomEndpoint: true,
      });
    }
  });

  it('name the port a root leaves out', () => {
    expect(gaxEndpoint(googleEndpoints('http://google.test'))['port']).toBe(80);
    expect(gaxEndpoint(googleEndpoints('https://google.test'))['port']).toBe(443);
  });

  it.each([
    '127.0.0.1:8600',
    'http://127.0.0.1:8600/google/',
    'ftp://x/',
    'http://u@x/',
    'http://x/?a',
    'nonsense',
  ])('refuse the root %s', (root) => {
    const refusal = (() => {
      try {
        return googleEndpoints(root);
      } catch (error) {
        return error;
      }
    })();
    expect(isSealwrightError(refusal) && refusal.code).toBe('settings-invalid');
    expect(String(refusal)).toContain(`"${root}"`);
  });
});
