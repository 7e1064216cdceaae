/**
 * Secrets as files, for a host without Secret Manager: `file:/run/secrets/NAME/VERSION`, mounted by whatever runs the
 * container. Each is read when it is asked for, so one that is taken away is gone as soon as it is read again.
 */
import { readFile } from 'node:fs/promises';
import { permanent } from '../../errors.ts';
import type { Secrets } from '../../ports/secrets.ts';

const PREFIX = 'file:';
/** As Secret Manager's. */
const MAX_BYTES = 65_536;

export const isSecretFile = (version: string): boolean => version.startsWith(PREFIX);

export function secretFiles(): Secrets {
  return {
    async read(version) {
      const path = version.slice(PREFIX.length);
      let payload: Buffer;
      try {
        payload = await readFile(path);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        const missing = code === 'ENOENT' || code === 'ENOTDIR';
        throw permanent(
          missing ? 'secret-missing' : 'secret-unreadable',
          `The secret file ${path} ${missing ? 'is not there' : `cannot be read (${code ?? 'unknown error'})`}; look at what is mounted into the container.`,
          { details: { secret: version } },
        );
      }
      if (payload.length > 0 && payload.length <= MAX_BYTES) return payload;
      throw permanent('secret-unreadable', `The secret file ${path} has ${payload.length} bytes.`);
    },
    listVersions: async (secret) => {
      throw permanent('secret-unreadable', `${secret} is a file; it has no versions to list.`);
    },
    add: async (secret) => {
      throw permanent('secret-unreadable', `${secret} is a file; secrets are added to it by hand.`);
    },
  };
}

/** Files by their prefix, everything else elsewhere. */
export const secretsOrFiles = (elsewhere: Secrets): Secrets => {
  const files = secretFiles();
  return {
    read: (version) => (isSecretFile(version) ? files : elsewhere).read(version),
    listVersions: (secret) => (isSecretFile(secret) ? files : elsewhere).listVersions(secret),
    add: (secret, payload) => (isSecretFile(secret) ? files : elsewhere).add(secret, payload),
  };
};
