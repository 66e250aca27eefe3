/**
 * A process that stores blobs until it is killed, from outside or by itself at one step; crash.test.ts looks at what it leaves. Each blob that it was
 * answered for is a line of its output, written before anything else happens.
 */
import { createHash, randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { newIntent, openStore, type Written, writeLarge, writeSmall } from './testing.ts';

const [directory, killAt = '', countText = '1'] = process.argv.slice(2);
let left = Number(countText);

const store = await openStore({ after: () => {} }, directory!, {
  packBytes: 200_000,
  step: (name) => {
    if (name === killAt && --left === 0) process.kill(process.pid, 'SIGKILL');
  },
});
const intent = newIntent();

function acknowledged({ place, data }: Written): void {
  tell(`${JSON.stringify({ place, sha256: createHash('sha256').update(data).digest('hex') })}\n`);
}

/** Also where the pipe is full. */
function tell(line: string): void {
  try {
    writeSync(1, line);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    tell(line);
  }
}

await Promise.all([
  ...Array.from({ length: 6 }, async () => {
    for (;;)
      for (const each of await writeSmall(store, intent, [randomBytes(4096), randomBytes(99)])) acknowledged(each);
  }),
  ...Array.from({ length: 2 }, async () => {
    for (;;) acknowledged(await writeLarge(store, intent, randomBytes(700_000)));
  }),
]);
