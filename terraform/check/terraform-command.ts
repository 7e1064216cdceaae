/** The `terraform` command, as far as it goes without a network: it formats, and loads a configuration up to its providers. */
import { spawnSync } from 'node:child_process';

const QUIET = { CHECKPOINT_DISABLE: '1', TF_IN_AUTOMATION: '1' };
/** Providers cannot be had without a network, and nothing after this is looked at without them. */
const EXPECTED = 'Missing required provider';

/** Runs it in a folder. `undefined` where it is not installed. */
export function terraform(
  folder: string,
  ...words: readonly string[]
): { readonly status: number; readonly stdout: string; readonly stderr: string } | undefined {
  const ended = spawnSync('terraform', [`-chdir=${folder}`, ...words], {
    encoding: 'utf8',
    env: { ...process.env, ...QUIET },
  });
  if (ended.error !== undefined && 'code' in ended.error && ended.error.code === 'ENOENT') return undefined;
  if (ended.error !== undefined) throw ended.error;
  return { status: ended.status ?? 1, stdout: ended.stdout, stderr: ended.stderr };
}

/** Its version, such as `1.11.4`. */
export function terraformVersion(): string | undefined {
  const ended = terraform('.', 'version', '-json');
  if (ended === undefined) return undefined;
  const { terraform_version: version }: { terraform_version?: string } = JSON.parse(ended.stdout);
  return version ?? 'of unknown version';
}

/** Files that `terraform fmt` would write differently, each with the difference. */
export function formatFindings(folder: string): readonly string[] {
  const ended = terraform(folder, 'fmt', '-check', '-recursive', '-diff', '-no-color');
  if (ended === undefined || ended.status === 0) return [];
  return [
    `The files are not formatted; run "terraform fmt -recursive terraform".\n${ended.stdout}${ended.stderr}`,
  ];
}

interface Diagnostic {
  readonly severity: string;
  readonly summary: string;
  readonly detail?: string;
  readonly range?: { readonly filename: string; readonly start: { readonly line: number } };
}

/**
 * What Terraform's own loader refuses: blocks and meta-arguments it does not know, wrong types of variables, duplicate
 * names. Where the folder was initialised, everything that `terraform validate` finds.
 */
export function loaderFindings(folder: string): readonly string[] {
  const ended = terraform(folder, 'validate', '-json', '-no-color');
  if (ended === undefined) return [];
  const { diagnostics }: { diagnostics: readonly Diagnostic[] } = JSON.parse(ended.stdout);
  return diagnostics
    .filter(({ severity, summary }) => severity === 'error' && summary !== EXPECTED)
    .map(({ summary, detail, range }) => {
      const place = range === undefined ? '' : `${range.filename}:${range.start.line}: `;
      return `${place}${summary}. ${detail ?? ''}`.trim();
    });
}
