import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { madeOffline } from '../../shared/domain/recorded.ts';
import { assertTbsMatches, tbsMatches } from '../../shared/pki/chain.ts';
import { buildCrl } from '../../shared/pki/crl.ts';
import { issueCertificate, issueCrl } from '../../shared/pki/issue.ts';
import { generateRsaKey } from '../../shared/pki/key.ts';
import { DUAL_USE_RSA, ISSUING } from '../../shared/pki/profile.ts';
import { signable } from '../../shared/pki/signable.ts';
import { type Signer, signerFromPkcs8 } from '../../shared/pki/signer.ts';
import { assembleCertificate } from '../../shared/pki/tbs.ts';
import { withExtension } from './mutate.ts';
import { DAY, NOW, type SampleAuthority, sampleAuthority } from './sample-authority.ts';

let ca: SampleAuthority;
beforeAll(async () => {
  ca = await sampleAuthority();
});

/** A signer that counts, so that a test can say that nothing was signed. */
const counting = (signer: Signer) => {
  const calls = { count: 0 };
  const sign: Signer['sign'] = (bytes) => {
    calls.count += 1;
    return signer.sign(bytes);
  };
  const signParts: Signer['signParts'] = async (parts) => {
    const signature = (await signer.signParts?.(parts)) ?? expect.unreachable();
    calls.count += 1;
    return signature;
  };
  return { calls, signer: { ...signer, sign, signParts } };
};

const issue = (tbsDer: Uint8Array, signer: Signer, changes: { signingTime?: Date } = {}) =>
  issueCertificate({
    tbsDer: madeOffline(tbsDer),
    profile: DUAL_USE_RSA,
    issuerCertificateDer: ca.issuing.certificateDer,
    signer,
    signingTime: NOW,
    ...changes,
  });

describe('issuing a certificate', () => {
  it('signs exactly the bytes it was given, once', async () => {
    const { tbsDer } = ca.unsignedLeaf();
    const { calls, signer } = counting(ca.issuingSigner);
    const certificateDer = await issue(tbsDer, signer);
    expect(calls.count).toBe(1);
    expect(tbsMatches(certificateDer, tbsDer)).toBe(true);
    const issuer = new X509Certificate(ca.issuing.certificateDer);
    expect(new X509Certificate(certificateDer).verify(issuer.publicKey)).toBe(true);
  });

  it('answers the same bytes when asked twice', async () => {
    const { tbsDer } = ca.unsignedLeaf();
    expect(await issue(tbsDer, ca.issuingSigner)).toEqual(await issue(tbsDer, ca.issuingSigner));
  });

  it('signs nothing that the linter refuses', async () => {
    const { calls, signer } = counting(ca.issuingSigner);
    const bad = withExtension(ca.unsignedLeaf().tbsDer, 'extKeyUsage', undefined);
    await expect(issue(bad, signer)).rejects.toMatchObject({ kind: 'permanent', code: 'lint-failed' });
    expect(calls.count).toBe(0);
  });

  it('signs no leaf under another profile than the one it was built for', async () => {
    const { calls, signer } = counting(ca.rootSigner);
    await expect(
      issueCertificate({
        tbsDer: madeOffline(ca.unsignedLeaf().tbsDer),
        profile: ISSUING,
        issuerCertificateDer: ca.root.certificateDer,
        signer,
        signingTime: NOW,
      }),
    ).rejects.toMatchObject({ code: 'lint-failed' });
    expect(calls.count).toBe(0);
  });

  it('signs no intent that has lain for more than 48 hours', async () => {
    const { calls, signer } = counting(ca.issuingSigner);
    const { tbsDer } = ca.unsignedLeaf();
    await expect(
      issue(tbsDer, signer, { signingTime: new Date(NOW.getTime() + 2 * DAY) }),
    ).rejects.toMatchObject({ message: expect.stringContaining('not-before-skew') });
    expect(calls.count).toBe(0);
  });

  it('signs nothing with a key that is not the issuer’s', async () => {
    const { calls, signer } = counting(
      signerFromPkcs8((await generateRsaKey(2048)).pkcs8Der, { algorithm: 'sha256WithRSA' }),
    );
    await expect(issue(ca.unsignedLeaf().tbsDer, signer)).rejects.toMatchObject({ code: 'ca-key-unusable' });
    expect(calls.count).toBe(0);
  });

  it('signs nothing with another algorithm than the bytes name', async () => {
    const { calls, signer } = counting(signerFromPkcs8(ca.issuing.pkcs8Der, { algorithm: 'sha512WithRSA' }));
    await expect(issue(ca.unsignedLeaf().tbsDer, signer)).rejects.toMatchObject({
      code: 'intent-mismatch',
      message: expect.stringContaining('sha256WithRSA'),
    });
    expect(calls.count).toBe(0);
  });

  it('hands out nothing whose signature does not verify', async () => {
    const lying: Signer = { ...ca.issuingSigner, sign: async () => new Uint8Array(256) };
    await expect(issue(ca.unsignedLeaf().tbsDer, lying)).rejects.toMatchObject({ code: 'ca-key-unusable' });
  });

  it('hands out no signature that was made over other bytes', async () => {
    const other = ca.unsignedLeaf().tbsDer;
    const swapping: Signer = { ...ca.issuingSigner, sign: () => ca.issuingSigner.sign(signable(other)) };
    await expect(issue(ca.unsignedLeaf().tbsDer, swapping)).rejects.toMatchObject({
      code: 'ca-key-unusable',
    });
  });

  it('hands out no other signature than the one that was verified', async () => {
    const bent: Signer = {
      ...ca.issuingSigner,
      sign: async (bytes, verification) => {
        const good = await ca.issuingSigner.sign(bytes, verification);
        return good.map((octet, at) => (at === good.length - 1 ? octet ^ 1 : octet));
      },
    };
    await expect(issue(ca.unsignedLeaf().tbsDer, bent)).rejects.toMatchObject({ code: 'ca-key-unusable' });
  });
});

describe('issuing a CRL', () => {
  const unsigned = () =>
    buildCrl({
      issuerCertificateDer: ca.issuing.certificateDer,
      crlNumber: 1n,
      now: NOW,
      entries: [],
    });
  const sign = (tbsDer: Uint8Array, signer: Signer, signingTime = NOW) =>
    issueCrl({
      tbsDer: madeOffline(tbsDer),
      issuerCertificateDer: ca.issuing.certificateDer,
      signer,
      signingTime,
    });

  it('signs nothing that the linter refuses', async () => {
    const { calls, signer } = counting(ca.issuingSigner);
    const late = new Date(NOW.getTime() + 2 * DAY);
    await expect(sign(unsigned().tbsDer, signer, late)).rejects.toMatchObject({
      code: 'lint-failed',
      message: expect.stringContaining('crl-this-update'),
    });
    expect(calls.count).toBe(0);
  });

  it('signs nothing that is a certificate', async () => {
    const { calls, signer } = counting(ca.issuingSigner);
    await expect(sign(ca.unsignedLeaf().tbsDer, signer)).rejects.toMatchObject({ code: 'lint-failed' });
    expect(calls.count).toBe(0);
  });

  it('signs nothing with a key that is not the issuer’s', async () => {
    const foreign = signerFromPkcs8(ca.root.pkcs8Der, { algorithm: 'sha256WithRSA' });
    const { calls, signer } = counting(foreign);
    await expect(sign(unsigned().tbsDer, signer)).rejects.toMatchObject({ code: 'ca-key-unusable' });
    expect(calls.count).toBe(0);
  });

  it('signs nothing with another algorithm than the bytes name', async () => {
    const signer = signerFromPkcs8(ca.issuing.pkcs8Der, { algorithm: 'sha384WithRSA' });
    await expect(sign(unsigned().tbsDer, signer)).rejects.toMatchObject({ code: 'intent-mismatch' });
  });

  it('hands out nothing whose signature does not verify', async () => {
    const lies = async () => new Uint8Array(256);
    const lying: Signer = { ...ca.issuingSigner, sign: lies, signParts: lies };
    await expect(sign(unsigned().tbsDer, lying)).rejects.toMatchObject({ code: 'ca-key-unusable' });
  });

  it('hands out nothing from a signer that answers another signature than the one it had verified', async () => {
    const told: boolean[] = [];
    const lying: Signer = {
      ...ca.issuingSigner,
      signParts: async (parts, verification = expect.unreachable()) => {
        const good = (await ca.issuingSigner.signParts?.(parts, verification)) ?? expect.unreachable();
        const other = Uint8Array.from(good, (octet, at) => (at === 9 ? octet ^ 1 : octet));
        told.push(verification.holdsFor(good), verification.holdsFor(other), verification.holdsFor(good));
        return other;
      },
    };
    await expect(sign(unsigned().tbsDer, lying)).rejects.toMatchObject({ code: 'ca-key-unusable' });
    expect(told).toEqual([true, false, true]);
  });

  it('hands out nothing from a signer that asked about a bad signature first', async () => {
    const lying: Signer = {
      ...ca.issuingSigner,
      signParts: async (parts, verification = expect.unreachable()) => {
        const good = (await ca.issuingSigner.signParts?.(parts)) ?? expect.unreachable();
        expect(verification.holdsFor(new Uint8Array(256))).toBe(false);
        return good;
      },
    };
    await expect(sign(unsigned().tbsDer, lying)).rejects.toMatchObject({ code: 'ca-key-unusable' });
  });
});

describe('comparing a certificate with what was recorded', () => {
  it('finds one changed byte', async () => {
    const { tbsDer } = ca.unsignedLeaf();
    const certificateDer = await issue(tbsDer, ca.issuingSigner);
    const changed = Uint8Array.from(tbsDer);
    changed[20] = (changed[20] ?? 0) ^ 1;
    expect(() => assertTbsMatches(certificateDer, tbsDer)).not.toThrow();
    expect(() => assertTbsMatches(certificateDer, changed)).toThrow(
      expect.objectContaining({ code: 'intent-mismatch' }),
    );
  });

  it('says no, rather than failing, to bytes that are no certificate', () => {
    const { tbsDer } = ca.unsignedLeaf();
    expect(tbsMatches(Buffer.from('rubbish'), tbsDer)).toBe(false);
    expect(tbsMatches(assembleCertificate(tbsDer, 'sha256WithRSA', new Uint8Array(256)), tbsDer)).toBe(true);
  });
});
