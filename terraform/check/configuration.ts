/**
 * A folder of Terraform files as data. Read with HashiCorp's own parser (compiled to WebAssembly), so what this accepts
 * Terraform parses too; what the blocks mean to a provider it does not know.
 *
 * Vocabulary. A *block* is one named declaration: a resource, a variable, an output, one entry of `locals`. Its
 * *address* is how others refer to it (`google_pubsub_topic.topic`, `var.project`, `local.urls`). In a *body*, nested
 * blocks are lists, expressions are texts in `${…}`, and literals are themselves.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** Loaded without its types: they refer to the browser's, which would then be in force in the whole project. */
const { parse }: { parse(file: string, text: string): Promise<unknown> } = createRequire(import.meta.url)(
  '@cdktn/hcl2json',
);

export type Body = Readonly<Record<string, unknown>>;

export interface Block {
  readonly file: string;
  readonly kind: 'resource' | 'ephemeral' | 'data' | 'module' | 'variable' | 'local' | 'output';
  /** `google_pubsub_topic`; empty for kinds without types. */
  readonly type: string;
  readonly name: string;
  readonly address: string;
  /** For a local, `{ value }`. */
  readonly body: Body;
}

export interface Configuration {
  readonly blocks: readonly Block[];
  /** What does not parse, or is declared twice: sentences. */
  readonly problems: readonly string[];
}

const TYPED: ReadonlySet<string> = new Set(['resource', 'data', 'ephemeral']);
const PREFIX: Readonly<Record<string, string>> = {
  resource: '',
  data: 'data.',
  ephemeral: 'ephemeral.',
  module: 'module.',
  variable: 'var.',
  local: 'local.',
  output: 'output.',
};

/** Reads every `.tf` file of a folder. Never throws for what is in them. */
export async function readConfiguration(folder: string): Promise<Configuration> {
  const blocks: Block[] = [];
  const problems: string[] = [];
  for (const file of readdirSync(folder).toSorted()) {
    if (!file.endsWith('.tf')) continue;
    try {
      const parsed = await parse(file, readFileSync(join(folder, file), 'utf8'));
      blocks.push(...blocksOf(file, record(parsed)));
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  const seen = new Map<string, Block>();
  for (const block of blocks) {
    const earlier = seen.get(block.address);
    if (earlier !== undefined)
      problems.push(`${block.address} is declared in ${earlier.file} and again in ${block.file}.`);
    seen.set(block.address, block);
  }
  return { blocks, problems };
}

function blocksOf(file: string, parsed: Body): Block[] {
  const blocks: Block[] = [];
  const add = (kind: Block['kind'], type: string, name: string, body: Body) => {
    const address = `${PREFIX[kind] ?? ''}${type === '' ? '' : `${type}.`}${name}`;
    blocks.push({ file, kind, type, name, address, body });
  };
  for (const [keyword, declared] of Object.entries(parsed)) {
    if (keyword === 'locals') {
      for (const locals of list(declared))
        for (const [name, value] of Object.entries(record(locals))) add('local', '', name, { value });
    } else if (TYPED.has(keyword)) {
      for (const [type, named] of Object.entries(record(declared)))
        for (const [name, bodies] of Object.entries(record(named)))
          for (const body of list(bodies)) add(keyword as Block['kind'], type, name, record(body));
    } else if (keyword === 'variable' || keyword === 'output' || keyword === 'module') {
      for (const [name, bodies] of Object.entries(record(declared)))
        for (const body of list(bodies)) add(keyword, '', name, record(body));
    }
  }
  return blocks;
}

/** Addresses a value refers to, each once. A resource is named whole, whichever instance or attribute is meant. */
export function referencesIn(value: unknown): ReadonlySet<string> {
  const found = new Set<string>();
  visit(value, (text) => {
    if (!text.includes('${')) return;
    for (const [address] of text.matchAll(REFERENCE)) found.add(address);
  });
  return found;
}

const REFERENCE =
  /(?<![\w.])(?:(?:var|local|module)\.[a-z_]\w*|(?:ephemeral\.|data\.)?(?:google|random)_\w+\.[a-z_]\w*)/g;

function visit(value: unknown, text: (found: string) => void): void {
  if (typeof value === 'string') text(value);
  else if (Array.isArray(value)) for (const each of value) visit(each, text);
  else if (value !== null && typeof value === 'object') {
    for (const [key, each] of Object.entries(value)) {
      text(key);
      visit(each, text);
    }
  }
}

const record = (value: unknown): Body =>
  value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Body) : {};

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value]);
