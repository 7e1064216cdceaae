/**
 * Secret Manager: secrets, their versions, and who may read them. One project, global secrets only; payloads lie in the
 * emulator's state file unencrypted, so it is a place for sample keys alone.
 */
import type { EmulatorContext } from '../core/context.ts';
import type { Binding } from '../core/iam.ts';
import type { Room } from '../core/rooms.ts';
import { checkBinding } from './access.ts';
import { secretRoutes } from './secrets.ts';
import { newPolicyEtag, type SecretManagerSettings, Vault } from './vault.ts';
import { versionRoutes } from './versions.ts';

export type { Binding, SecretManagerSettings };

export interface SecretManager extends Room {
  /** Makes the secret (automatic replication) when it is missing and sets who may do what with it. */
  ensureSecret(id: string, bindings: readonly Binding[]): void;
  /** Adds a version and answers its number. Throws RangeError for a secret that does not exist. */
  addVersion(id: string, payload: Buffer): number;
}

export function createSecretManager(
  context: EmulatorContext,
  parts: { readonly settings: SecretManagerSettings },
): SecretManager {
  const vault = new Vault(context, parts.settings);
  for (const binding of parts.settings.bindings) checkBinding(binding);
  return {
    routes: [...versionRoutes(vault), ...secretRoutes(vault)],
    ensureSecret: (id, bindings) => {
      for (const binding of bindings) checkBinding(binding);
      const secret = vault.find(id) ?? vault.create(id, { replication: { automatic: {} } });
      secret.policy = { bindings, etag: newPolicyEtag() };
      vault.changed();
    },
    addVersion: (id, payload) => {
      const secret = vault.find(id);
      if (secret === undefined) throw new RangeError(`There is no secret ${id} to add a version to.`);
      return vault.addVersion(secret, payload, false).number;
    },
  };
}
