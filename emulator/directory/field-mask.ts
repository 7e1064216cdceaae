/**
 * Google's partial responses: `fields=nextPageToken,users(id,name/fullName)`.
 * https://developers.google.com/workspace/admin/directory/v1/guides/performance
 */
import { invalidParameter } from './refusals.ts';

/** What may be selected: a branch, a `leaf` (nothing below it), or `open` (anything may be below it). */
export type Selectable = 'leaf' | 'open' | SelectableTree;
export interface SelectableTree {
  readonly [name: string]: Selectable;
}

/** A parsed mask: each name with what is wanted below it, or everything below it. */
export type Mask = ReadonlyMap<string, Mask | 'all'>;

/** Throws 400 `invalidParameter` for text that is no mask and for fields the answer can never have. */
export function parseFieldMask(text: string, tree: SelectableTree): Mask {
  const parser = new Parser(text);
  const mask = parser.list();
  parser.end();
  check(mask, tree);
  return mask;
}

/** The part of an answer that the mask selects; lists are masked entry by entry. */
export function applyFieldMask(value: unknown, mask: Mask): unknown {
  if (Array.isArray(value)) return value.map((entry) => applyFieldMask(entry, mask));
  if (value === null || typeof value !== 'object') return value;
  const wanted: Record<string, unknown> = {};
  for (const [name, entry] of Object.entries(value)) {
    const below = mask.get(name) ?? mask.get('*');
    if (below !== undefined) wanted[name] = below === 'all' ? entry : applyFieldMask(entry, below);
  }
  return wanted;
}

type MutableMask = Map<string, MutableMask | 'all'>;

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  list(): MutableMask {
    const mask: MutableMask = new Map();
    do this.#path(mask);
    while (this.#take(','));
    return mask;
  }

  end(): void {
    if (this.#at !== this.#text.length) throw invalidSelection(this.#text.slice(this.#at));
  }

  #path(into: MutableMask): void {
    const name = /^\s*(\*|[A-Za-z_][A-Za-z0-9_]*)\s*/.exec(this.#text.slice(this.#at));
    if (name?.[1] === undefined) throw invalidSelection(this.#text.slice(this.#at));
    this.#at += name[0].length;
    if (this.#take('/')) {
      const below: MutableMask = new Map();
      this.#path(below);
      merge(into, name[1], below);
    } else if (this.#take('(')) {
      const below = this.list();
      if (!this.#take(')')) throw invalidSelection(this.#text);
      merge(into, name[1], below);
    } else {
      merge(into, name[1], 'all');
    }
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    while (this.#text[this.#at] === ' ') this.#at += 1;
    return true;
  }
}

function merge(into: MutableMask, name: string, below: MutableMask | 'all'): void {
  const before = into.get(name);
  if (before === 'all') return;
  if (before === undefined || below === 'all') into.set(name, below);
  else for (const [key, value] of below) merge(before, key, value);
}

function check(mask: Mask, tree: SelectableTree): void {
  for (const [name, below] of mask) {
    const selectables =
      name === '*' ? Object.values(tree) : Object.hasOwn(tree, name) ? [tree[name] ?? 'leaf'] : [];
    if (selectables.length === 0) throw invalidSelection(name);
    if (below === 'all') continue;
    for (const selectable of selectables) {
      if (selectable === 'open') continue;
      if (selectable === 'leaf') throw invalidSelection([...below.keys()].join(','));
      check(below, selectable);
    }
  }
}

const invalidSelection = (text: string) => invalidParameter('fields', `Invalid field selection ${text}`);
