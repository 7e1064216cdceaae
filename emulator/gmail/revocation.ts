import { createHash } from 'node:crypto';
import type { EmulatorClock } from '../core/clock.ts';
import type { HostNames } from '../core/rooms.ts';
import type { ReadCertificate } from './certificate.ts';
import { nameOf } from './chain.ts';
import { isPublicHttp } from './chain-rules.ts';
import { type Crl, type CrlEntry, isCrlSignedBy, readCrl } from './crl.ts';
import { httpGet } from './http-get.ts';

const FETCH_TIMEOUT_MS = 5_000;

export type RevocationStatus =
  | { readonly kind: 'good' }
  | { readonly kind: 'revoked'; readonly entry: CrlEntry; readonly sentence: string }
  /** No CRL that may be believed could be had; the sentence names the address and what failed. */
  | { readonly kind: 'unknown'; readonly sentence: string };

/**
 * Revocation by CRL as Google does it: the list is fetched anew each time from the distribution points, over plain
 * HTTP without following a redirect, and believed only when the certificate's issuer signed it and it is fresh.
 */
export class Revocation {
  readonly #clock: EmulatorClock;
  readonly #hosts: HostNames;
  /** Reading a long list costs more than fetching it: the last one of each address is kept by its bytes. */
  readonly #read = new Map<string, { readonly sha256: string; readonly crl: Crl }>();

  readonly #timeoutMs: number;

  /** `timeoutMs` bounds each fetch, in real time. */
  constructor(clock: EmulatorClock, hosts: HostNames, timeoutMs = FETCH_TIMEOUT_MS) {
    this.#clock = clock;
    this.#hosts = hosts;
    this.#timeoutMs = timeoutMs;
  }

  async check(certificate: ReadCertificate, issuer: ReadCertificate): Promise<RevocationStatus> {
    const uris = certificate.crlDistributionPoints?.uris.filter(isPublicHttp) ?? [];
    let sentence = `"${nameOf(certificate)}" names no CRL that can be fetched over HTTP.`;
    for (const uri of uris) {
      try {
        const crl = await this.#fetch(uri);
        requireUsable(crl, { uri, certificate, issuer, now: this.#clock.now() });
        const entry = crl.entries.get(certificate.serial.toString('hex'));
        return entry === undefined ? { kind: 'good' } : revoked(certificate, entry);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        sentence = `The CRL of "${nameOf(certificate)}" at ${uri} cannot be used: ${why}.`;
      }
    }
    return { kind: 'unknown', sentence };
  }

  async #fetch(uri: string): Promise<Crl> {
    const named = new URL(uri);
    const target = this.#hosts.resolve(named);
    if (target === undefined) throw new Error('nothing answers at that host');
    const { status, body } = await httpGet(target, { host: named.host, timeoutMs: this.#timeoutMs });
    if (status !== 200) throw new Error(`the server answered HTTP ${status} instead of 200`);
    const sha256 = createHash('sha256').update(body).digest('hex');
    const known = this.#read.get(uri);
    if (known?.sha256 === sha256) return known.crl;
    const crl = readCrl(body);
    this.#read.set(uri, { sha256, crl });
    return crl;
  }
}

function requireUsable(
  crl: Crl,
  at: { uri: string; certificate: ReadCertificate; issuer: ReadCertificate; now: Date },
): void {
  const { uri, certificate, issuer, now } = at;
  if (!crl.issuerDn.equals(certificate.issuerDn)) throw new Error('it is the list of another issuer');
  if (issuer.keyUsage !== undefined && !issuer.keyUsage.bits.has('cRLSign')) {
    throw new Error("its issuer's key usage has no cRLSign");
  }
  if (!isCrlSignedBy(crl, issuer)) throw new Error("its signature does not verify under the issuer's key");
  if (crl.isDelta) throw new Error('it is a delta CRL');
  if (crl.unknownCritical.length > 0) {
    throw new Error(`it has the unknown critical extension ${crl.unknownCritical.join(', ')}`);
  }
  if (crl.thisUpdate > now) throw new Error(`it starts only at ${crl.thisUpdate.toISOString()}`);
  if (crl.nextUpdate === undefined) throw new Error('it has no nextUpdate');
  if (crl.nextUpdate <= now) throw new Error(`it ended at ${crl.nextUpdate.toISOString()}`);
  const mismatch = scopeMismatch(crl, uri, certificate);
  if (mismatch !== undefined) throw new Error(mismatch);
}

/** RFC 5280 section 6.3.3 (b): the list must say that it speaks for this certificate and this distribution point. */
function scopeMismatch({ scope }: Crl, uri: string, certificate: ReadCertificate): string | undefined {
  if (scope === undefined) return undefined;
  const isCa = certificate.basicConstraints?.ca === true;
  if (scope.onlyContainsUserCerts && isCa) return 'it lists user certificates only';
  if (scope.onlyContainsCACerts && !isCa) return 'it lists CA certificates only';
  if (scope.onlyContainsAttributeCerts) return 'it lists attribute certificates only';
  if (scope.indirectCRL || scope.onlySomeReasons !== undefined) return 'it is an indirect or partial list';
  const names = Array.isArray(scope.distributionPoint) ? scope.distributionPoint : [];
  const fits = scope.distributionPoint === undefined || names.some((name) => String(name.value) === uri);
  return fits ? undefined : 'its issuingDistributionPoint names another address';
}

function revoked(certificate: ReadCertificate, entry: CrlEntry): RevocationStatus {
  return {
    kind: 'revoked',
    entry,
    sentence: `"${nameOf(certificate)}" was revoked at ${entry.revokedAt.toISOString()}.`,
  };
}
