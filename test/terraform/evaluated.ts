/**
 * Values of the configuration's locals, worked out by Terraform itself without providers, network or state: those that
 * depend on variables alone, which settings.tf and most tables beside it are made to do.
 */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Configuration, referencesIn } from '../../terraform/check/configuration.ts';
import { terraform } from '../../terraform/check/terraform-command.ts';

export const FOLDER = resolve(import.meta.dirname, '../../terraform');
export const EXAMPLE = join(FOLDER, 'example.tfvars');

/**
 * Every such local by name, for the example with these variables replaced. Throws with Terraform's own words; `undefined`
 * where the command is not installed.
 */
export function evaluate(
  configuration: Configuration,
  variables: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> | undefined {
  const pure = pureLocals(configuration);
  return inScratch((folder) => {
    writeFileSync(join(folder, 'other.tfvars.json'), JSON.stringify(variables));
    writeFileSync(
      join(folder, 'locals.tf.json'),
      JSON.stringify({
        locals: Object.fromEntries(pure),
        output: Object.fromEntries([...pure.keys()].map((name) => [name, { value: `\${local.${name}}` }])),
      }),
    );
    const applied = terraform(
      folder,
      'apply',
      '-auto-approve',
      '-input=false',
      '-no-color',
      `-var-file=${EXAMPLE}`,
      `-var-file=${join(folder, 'other.tfvars.json')}`,
    );
    if (applied === undefined) return undefined;
    if (applied.status !== 0) throw new Error(applied.stderr);
    const outputs: Record<string, { value: unknown }> = JSON.parse(
      terraform(folder, 'output', '-json')?.stdout ?? '{}',
    );
    return Object.fromEntries(Object.entries(outputs).map(([name, { value }]) => [name, value]));
  });
}

/** What Terraform says to the example with one variable replaced; empty when it takes it. */
export function refusalOf(variable: string, value: unknown): string | undefined {
  return inScratch((folder) => {
    writeFileSync(join(folder, 'other.tfvars.json'), JSON.stringify({ [variable]: value }));
    const planned = terraform(
      folder,
      'plan',
      '-input=false',
      '-no-color',
      `-var-file=${EXAMPLE}`,
      `-var-file=${join(folder, 'other.tfvars.json')}`,
    );
    return planned === undefined || planned.status === 0
      ? planned && ''
      : planned.stderr.replace(/\s+/g, ' ');
  });
}

function inScratch<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'sealwright-terraform-'));
  try {
    copyFileSync(join(FOLDER, 'variables.tf'), join(folder, 'variables.tf'));
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function pureLocals({ blocks }: Configuration): ReadonlyMap<string, unknown> {
  const locals = new Map(
    blocks.filter(({ kind }) => kind === 'local').map(({ address, body }) => [address, body['value']]),
  );
  const isPure = (value: unknown): boolean =>
    [...referencesIn(value)].every(
      (address) =>
        address.startsWith('var.') || (address.startsWith('local.') && isPure(locals.get(address))),
    );
  return new Map(
    [...locals]
      .filter(([, value]) => isPure(value))
      .map(([address, value]) => [address.slice('local.'.length), value]),
  );
}
