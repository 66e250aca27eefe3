/**
 * What one host's object disk takes and gives, by control's own client over the unix socket, without index or dialects. The host is another process,
 * so that each side's processor time is its own. `node tools/bench/object-host.ts [DIRECTORY]`, best on a disk where nothing else is at work.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { StoredPlace } from '../../contract/host/index.ts';
import { type BlobId, newId, type ObjectIntentId } from '../../contract/ids.ts';
import { HostClient, type SmallBlob } from '../../control/host/index.ts';
import { testAuthority } from '../../test/support/certificates.ts';
import { ObjectHost } from '../../test/support/object-host.ts';

const place = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'object-host-'));
const authority = await testAuthority();
const hosting = await ObjectHost.start(place, authority);
const host = { id: hosting.id, url: hosting.url };
const at = { host, disk: 'default' };
const intent = newId<ObjectIntentId>();
const near = new HostClient({
  tls: await authority.issue('bothy-control'),
  local: { id: host.id, socket: hosting.socket },
});
const { objects } = near;

/** What waits while a batch is under way goes in the next one. */
class Batcher {
  #waiting: { blob: SmallBlob; resolve(place: StoredPlace): void; reject(error: unknown): void }[] = [];
  #busy = 0;

  write(blob: SmallBlob): Promise<StoredPlace> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ blob, resolve, reject });
      if (this.#busy < 2) setImmediate(() => void this.#run());
    });
  }

  async #run(): Promise<void> {
    const some = this.#waiting.splice(0, 256);
    if (some.length === 0 || this.#busy >= 2) return void this.#waiting.unshift(...some);
    this.#busy++;
    try {
      const places = await objects.writeBatch(
        at,
        intent,
        some.map(({ blob }) => blob),
      );
      for (const [index, { blob, resolve }] of some.entries())
        resolve({ blob: blob.id, intent, ...places[index]!, length: blob.bytes.length });
    } catch (error) {
      for (const { reject } of some) reject(error);
    }
    this.#busy--;
    void this.#run();
  }
}

/** Milliseconds of processor time of a process since its start. */
function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const peakMiB = (pid: number) =>
  Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024);

async function measure(
  what: string,
  { ms = 4000, atOnce = 8, bytes = 0 },
  work: () => Promise<unknown>,
): Promise<void> {
  for (let times = 0; times < 8; times++) await work();
  const [mine, theirs, began] = [processorMs(process.pid), processorMs(hosting.pid), performance.now()];
  let count = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (performance.now() - began < ms) {
        await work();
        count++;
      }
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  const each = (before: number, pid: number) => ((processorMs(pid) - before) / count).toFixed(3);
  const rate = bytes > 0 ? `, ${((count * bytes) / seconds / 1e6).toFixed(0)} MB/s` : '';
  console.log(
    `${what}: ${(count / seconds).toFixed(0)}/s${rate}; processor each: control ${each(mine, process.pid)} ms, host ${each(theirs, hosting.pid)} ms`,
  );
}

const batcher = new Batcher();
const small = randomBytes(4096);
const stored: StoredPlace[] = [];
await measure('4 KiB put, 8 at once, batched', {}, async () => {
  stored.push(await batcher.write({ id: newId<BlobId>(), bytes: small }));
});
await measure('4 KiB put, 64 at once, batched', { atOnce: 64 }, () =>
  batcher.write({ id: newId<BlobId>(), bytes: small }),
);
let next = 0;
await measure('4 KiB get, 8 at once, from the file', {}, () => objects.readRecord(at, stored[next++ % stored.length]!));

async function put(length: number): Promise<StoredPlace> {
  const blob = newId<BlobId>();
  const parts: Buffer[] = [];
  for (let from = 0; from < length; from += 65_536) parts.push(Buffer.allocUnsafeSlow(Math.min(65_536, length - from)));
  const wish = { maxBytes: length, sizeBytes: length, digests: ['md5'] as const };
  const { file } = await objects.writeFile(at, intent, blob, Readable.from(parts), wish);
  return { blob, intent, file, offset: 0, length };
}

const files: StoredPlace[] = [];
const removed = async (place: StoredPlace) => objects.removeBlob(at, intent, place.blob);
await measure('1 MiB put, 8 at once', { bytes: 2 ** 20 }, async () => {
  files.push(await put(2 ** 20));
});
const { Writable } = await import('node:stream');
const drain = async (place: StoredPlace) => {
  const bytes = await objects.read(at, place);
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  await bytes.sendTo(sink);
};
await measure('1 MiB get, 8 at once, from the file', { bytes: 2 ** 20 }, () => drain(files[next++ % files.length]!));
for (const each of files.splice(0)) await removed(each);

const memory = () =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${hosting.pid}/status`, 'utf8'))![1]) / 1024);
const before = memory();
let most = 0;
const watch = setInterval(() => {
  most = Math.max(most, memory());
}, 50);
const many = await Promise.all(Array.from({ length: 100 }, () => put(2 ** 25)));
clearInterval(watch);
console.log(`100 streams of 32 MiB at once: host ${before} MiB before, ${most} MiB at most`);
for (const each of many) await removed(each);

const dd = () => {
  const path = join(place, 'dd');
  const began = performance.now();
  execFileSync('dd', ['if=/dev/zero', `of=${path}`, 'bs=1M', 'count=64', 'conv=fsync'], { stdio: 'ignore' });
  const ms = performance.now() - began;
  rmSync(path);
  return ms;
};
const rounds = { dd: [] as number[], put: [] as number[], get: [] as number[] };
for (let round = 0; round < 7; round++) {
  rounds.dd.push(dd());
  let began = performance.now();
  const large = await put(2 ** 26);
  rounds.put.push(performance.now() - began);
  began = performance.now();
  await drain(large);
  rounds.get.push(performance.now() - began);
  await removed(large);
}
for (const [what, times] of Object.entries(rounds)) {
  const sorted = times.toSorted((a, b) => a - b);
  const rate = (ms: number) => (2 ** 26 / ms / 1000).toFixed(0);
  console.log(`64 MiB ${what}: median ${rate(sorted[3]!)} MB/s, best ${rate(sorted[0]!)} MB/s`);
}
console.log(`memory at most: control ${peakMiB(process.pid)} MiB, host ${peakMiB(hosting.pid)} MiB`);
near.close();
await hosting.kill();
rmSync(place, { recursive: true, force: true });
