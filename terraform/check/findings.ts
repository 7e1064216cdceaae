/** What can be said about a configuration without a provider: every reference leads somewhere, and to no circle. */
import { type Block, type Configuration, referencesIn } from './configuration.ts';

/** Sentences, one for each mistake; none is the best answer. */
export function findingsOf({ blocks, problems }: Configuration): readonly string[] {
  return [...problems, ...undeclared(blocks), ...unused(blocks), ...circles(blocks)];
}

function undeclared(blocks: readonly Block[]): readonly string[] {
  const declared = new Set(blocks.map(({ address }) => address));
  return blocks.flatMap((block) =>
    [...referencesIn(block.body)]
      .filter((address) => !declared.has(address))
      .map((address) => `${block.file}: ${block.address} refers to ${address}, which is declared nowhere.`),
  );
}

function unused(blocks: readonly Block[]): readonly string[] {
  const used = new Set(blocks.flatMap((block) => [...referencesIn(withoutOwnValidation(block))]));
  return blocks
    .filter(({ kind, address }) => (kind === 'variable' || kind === 'local') && !used.has(address))
    .map(({ file, address }) => `${file}: ${address} is declared and never used.`);
}

/** A variable's validation speaks of the variable itself, which is no use of it. */
function withoutOwnValidation(block: Block): unknown {
  if (block.kind !== 'variable') return block.body;
  const { validation: _, ...rest } = block.body;
  return rest;
}

function circles(blocks: readonly Block[]): readonly string[] {
  const edges = new Map(
    blocks
      .filter(({ kind }) => kind !== 'variable' && kind !== 'output')
      .map((block) => [block.address, [...referencesIn(block.body)]] as const),
  );
  const done = new Set<string>();
  const found: string[] = [];
  const walk = (address: string, path: readonly string[]): void => {
    const start = path.indexOf(address);
    if (start >= 0) {
      found.push(`${[...path.slice(start), address].join(' → ')} is a circle.`);
      return;
    }
    if (done.has(address)) return;
    for (const next of edges.get(address) ?? []) walk(next, [...path, address]);
    done.add(address);
  };
  for (const address of edges.keys()) walk(address, []);
  return found;
}
