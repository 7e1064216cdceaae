import { describe, expect, it, test } from 'vitest';
import { isLoopbackUrl, urlProblem } from '../../shared/pki/public-url.ts';

describe('an address to be printed into a certificate', () => {
  test.each([
    'http://pki.acme.example/issuing.crl',
    'http://pki.acme.example:8080/a/b/issuing.crl',
    'http://PKI.acme.example/',
    'http://runxapp.example/a.crl',
    'http://my-run.app.acme.example/a.crl',
  ])('may be %s', (url) => {
    expect(urlProblem(url, { trial: false })).toBeUndefined();
  });

  test.each([
    ['https://pki.acme.example/a.crl', 'url-scheme'],
    ['ftp://pki.acme.example/a.crl', 'url-scheme'],
    ['pki.acme.example/a.crl', 'url-scheme'],
    ['', 'url-scheme'],
    ['http://user@pki.acme.example/a.crl', 'url-parameters'],
    ['http://pki.acme.example/a.crl?x=1', 'url-parameters'],
    ['http://pki.acme.example/a.crl#x', 'url-parameters'],
    ['http://crl.run.app/a.crl', 'url-host'],
    ['http://crl-1-ew.a.run.app/a.crl', 'url-host'],
    ['http://europe-west1-acme.cloudfunctions.net/crl', 'url-host'],
    ['http://storage.googleapis.com/bucket/a.crl', 'url-host'],
    ['http://bucket.storage.googleapis.com/a.crl', 'url-host'],
    ['http://storage.cloud.google.com/bucket/a.crl', 'url-host'],
    ['http://acme.appspot.com/a.crl', 'url-host'],
    ['http://pki/a.crl', 'url-host'],
    ['http://pki.local/a.crl', 'url-host'],
    ['http://pki.corp.internal/a.crl', 'url-host'],
    ['http://192.168.1.2/a.crl', 'url-host'],
    ['http://203.0.113.7/a.crl', 'url-host'],
    ['http://[2001:db8::1]/a.crl', 'url-host'],
    ['http://localhost:8600/a.crl', 'url-host'],
    ['http://127.0.0.1:8600/a.crl', 'url-host'],
    ['http://[::1]:8600/a.crl', 'url-host'],
  ] as const)('may not be "%s", by rule %s', (url, rule) => {
    expect(urlProblem(url, { trial: false })?.rule).toBe(rule);
  });

  test.each(['http://localhost:8600/a.crl', 'http://127.0.0.1:8600/a.crl', 'http://[::1]:8600/a.crl'])(
    'may be %s in a trial on one machine',
    (url) => {
      expect(isLoopbackUrl(url)).toBe(true);
      expect(urlProblem(url, { trial: true })).toBeUndefined();
    },
  );

  it('stays under every other rule in a trial', () => {
    expect(urlProblem('https://127.0.0.1/a.crl', { trial: true })?.rule).toBe('url-scheme');
    expect(urlProblem('http://x.run.app/a.crl', { trial: true })?.rule).toBe('url-host');
    expect(isLoopbackUrl('http://127.0.0.1.acme.example/a.crl')).toBe(false);
  });
});
