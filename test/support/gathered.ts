import type { TakePart } from '../../shared/ports/ledger/sweeps.ts';

/** All parts of what is read part by part. */
export async function gathered(read: (take: TakePart) => Promise<void>): Promise<Buffer> {
  const all: Buffer[] = [];
  await read((part) => all.push(Buffer.from(part)));
  return Buffer.concat(all);
}
