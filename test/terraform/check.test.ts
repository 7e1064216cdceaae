import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfiguration } from '../../terraform/check/configuration.ts';
import { findingsOf } from '../../terraform/check/findings.ts';
import { formatFindings, loaderFindings, terraformVersion } from '../../terraform/check/terraform-command.ts';
import { FOLDER } from './evaluated.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealwright-hcl-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
const findings = async () => findingsOf(await readConfiguration(folder));

describe('the check of a Terraform folder', () => {
  test('finds nothing wrong with ours', async () => {
    expect(findingsOf(await readConfiguration(FOLDER))).toEqual([]);
  });

  test('names the file and the line of what does not parse, and still reads the others', async () => {
    write('a.tf', 'variable "a" {\n');
    write('b.tf', 'variable "b" {}\n');
    const configuration = await readConfiguration(folder);
    expect(configuration.problems).toEqual([expect.stringContaining('a.tf:1,14')]);
    expect(configuration.blocks.map(({ address }) => address)).toEqual(['var.b']);
  });

  test('names a reference that leads nowhere, wherever it stands', async () => {
    write(
      'a.tf',
      `resource "google_pubsub_topic" "t" {
  name   = local.gone
  labels = { a = "x-\${var.gone}" }
  nested {
    deeper { id = google_pubsub_topic.gone["k"].id }
  }
  depends_on = [google_project_service.gone]
}
`,
    );
    expect(await findings()).toEqual(
      ['google_project_service.gone', 'var.gone', 'local.gone', 'google_pubsub_topic.gone'].map(
        (address) => `a.tf: google_pubsub_topic.t refers to ${address}, which is declared nowhere.`,
      ),
    );
  });

  test('takes no text for a reference', async () => {
    write('a.tf', 'output "o" {\n  value = "see google_pubsub_topic.t, var.x and local.y"\n}\n');
    expect(await findings()).toEqual([]);
  });

  test('names a variable that only its own validation mentions, and a local that nothing does', async () => {
    write(
      'a.tf',
      `variable "v" {
  type = string
  validation {
    condition     = length(var.v) > 0
    error_message = "It is empty."
  }
}
locals { l = 1 }
`,
    );
    expect(await findings()).toEqual([
      'a.tf: local.l is declared and never used.',
      'a.tf: var.v is declared and never used.',
    ]);
  });

  test('names a circle through several files', async () => {
    write('a.tf', 'locals {\n  a = local.b\n}\n');
    write('b.tf', 'locals {\n  b = google_pubsub_topic.t.id\n}\n');
    write('c.tf', 'resource "google_pubsub_topic" "t" {\n  name = local.a\n}\n');
    expect(await findings()).toEqual(['local.a → local.b → google_pubsub_topic.t → local.a is a circle.']);
  });

  test('names what is declared twice', async () => {
    write('a.tf', 'output "o" {\n  value = 1\n}\n');
    write('b.tf', 'output "o" {\n  value = 2\n}\n');
    expect(await findings()).toEqual(['output.o is declared in a.tf and again in b.tf.']);
  });

  test('goes on without the terraform command and says what it left out', () => {
    const ended = spawnSync(process.execPath, [join(FOLDER, 'check.ts')], {
      encoding: 'utf8',
      env: { PATH: folder },
    });
    expect(ended.stderr).toBe('');
    expect(ended.status).toBe(0);
    expect(ended.stdout).toMatch(/^terraform\/: \d+ declarations/);
    expect(ended.stdout).toContain('The terraform command is not installed');
  });
});

describe.runIf(terraformVersion() !== undefined)('with the terraform command, the check', () => {
  test('finds our files formatted, and their blocks known to Terraform', () => {
    expect(formatFindings(FOLDER)).toEqual([]);
    expect(loaderFindings(FOLDER)).toEqual([]);
  });

  test('shows what is formatted otherwise', () => {
    write('a.tf', 'output "o" {\nvalue=1\n}\n');
    expect(formatFindings(folder)).toEqual([expect.stringContaining('+  value = 1')]);
  });

  test('names the place of a block that Terraform does not know', () => {
    write('a.tf', 'output "o" {\n  value = 1\n}\n\nresuorce "google_pubsub_topic" "t" {\n}\n');
    expect(loaderFindings(folder)).toEqual([expect.stringMatching(/^a\.tf:5: Unsupported block type\./)]);
  });
});
