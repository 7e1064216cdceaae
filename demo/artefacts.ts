import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Check {
  /** A command line to be run in the artefacts' folder. */
  readonly command: readonly string[];
  /** What it shows, in words. */
  readonly shows: string;
  /** The exit code it must end with: refusing the revoked is as much a check as accepting the good. */
  readonly expectedExit: 0 | 'refused';
  /** Text that its output must contain. */
  readonly expectedOutput?: string;
}

export interface Artefact {
  readonly path: string;
  readonly kind: string;
  readonly user?: string;
  /** Opens the file. Only for keys that were made for this demo. */
  readonly password?: string;
  readonly checks: readonly Check[];
}

/** The folder that the demo leaves behind, and its `manifest.json`. */
export class Artefacts {
  readonly folder: string;
  readonly #list: Artefact[] = [];

  constructor(folder: string) {
    this.folder = folder;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }

  write(path: string, content: Uint8Array | string, about: Omit<Artefact, 'path'>): void {
    const file = join(this.folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    this.#list.push({ path, ...about });
  }

  writeManifest(facts: Readonly<Record<string, unknown>>): void {
    const files = this.#list.map(({ checks, ...rest }) => ({
      ...rest,
      checks: checks.map((check) => ({ ...check, command: check.command.join(' ') })),
    }));
    writeFileSync(join(this.folder, 'manifest.json'), `${JSON.stringify({ ...facts, files }, null, 2)}\n`);
  }

  /** The same for a file that another program wrote there. */
  note(path: string, about: Omit<Artefact, 'path'>): void {
    this.#list.push({ path, ...about });
  }

  get checks(): readonly (Check & { readonly path: string })[] {
    return this.#list.flatMap(({ path, checks }) => checks.map((check) => ({ ...check, path })));
  }

  get count(): number {
    return this.#list.length;
  }
}
