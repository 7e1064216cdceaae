/**
 * Loaded into the functions' process by the soak: at each SIGUSR2 it collects all garbage and writes what is left as one line of JSON
 * to the file that `SEALWRIGHT_HEAP_REPORT` names. The process that loads it first of all, the soak's own, is left alone.
 */
import { appendFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const file = process.env.SEALWRIGHT_HEAP_REPORT;
if (file !== undefined && process.send !== undefined) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  process.on('SIGUSR2', () => {
    // Twice: what the first one finalizes is free only for the second.
    collect();
    collect();
    const { heapUsed, external, rss } = process.memoryUsage();
    appendFileSync(file, `${JSON.stringify({ heapUsed, external, rss })}\n`);
  });
}
