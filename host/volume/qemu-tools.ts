/** The work on whole files by QEMU's own programs, behind the walls of ../image/walls.ts. Owns nothing: what it works on is its caller's. */
import { chown, stat } from 'node:fs/promises';
import type { LayerId, VolumeId } from '../../contract/ids.ts';
import type { GuestUser } from '../guest/users.ts';
import { HostFault } from '../host-error.ts';
import { inside, outside, runWalledIn, secretAt, type Walls } from '../image/walls.ts';
import { type BlockNode, chainNodes, encryption, keysOf, type LayerChain, secretObjects } from './chain.ts';
import { outputOptions } from './formats.ts';
import { faultCode, sinkJob, streamJob } from './jobs.ts';
import { type BuildsOn, keyObject } from './names.ts';
import { writeOverlay } from './overlay.ts';
import { withPointers } from './pointers.ts';
import { withStorageDaemon } from './storage-daemon.ts';
import type { BackupFile, LayerTools, Sealed, ToolWork } from './tools.ts';

/** It may take long, and a core as long. */
const longMs = 4 * 3_600_000;
/** What a qcow2 file has beside the data. */
const tableBytes = (sizeBytes: number): number => Math.ceil(sizeBytes / 256) + 2 ** 30;
/** Each file of a chain that is open has tables in memory. */
const memoryBytes = (files: number): number => 2 ** 30 + files * 48 * 2 ** 20;
/** For the names of nodes inside a program of ours, whose chain it is does not matter. */
const nobodys = '00000000-0000-0000-0000-000000000000' as VolumeId;

/** @param user that reads what all guests may read; undefined: as this process, without walls (tests) */
export function qemuLayerTools(user: GuestUser | undefined): LayerTools {
  return {
    stream: (chain, onto, work) => lent(user, chain, () => stream(user, chain, onto, work)),
    sink: (chain, onto, work) => lent(user, chain, () => sink(user, chain, onto, work)),
    grow: (chain, sizeBytes) =>
      lent(user, chain, async () => {
        const { node, walls } = inPlace(user, chain, sizeBytes);
        await give(user, chain.top.path);
        const secrets = secretObjects(chain);
        if (secrets.length > 0) return growEncrypted(node, { ...walls, timeoutMs: 60_000 }, { sizeBytes, secrets });
        await qemuImg(['resize', '-q', asJson(node), String(sizeBytes)], { ...walls, timeoutMs: 60_000 });
      }),
    convert: (chain, to, format, work) =>
      lent(user, chain, async () => {
        const { node, walls } = reading(user, chain, to);
        await give(user, to);
        await qemuImg(
          ['convert', '-W', '-m', '8', ...outputOptions[format], asJson(node), walls.to],
          withSignal(walls, work),
        );
      }),
    backUp: (chain, to, options, work) => lent(user, chain, () => backUp(user, chain, { to, ...options }, work)),
    async restore(backups, to, work) {
      await give(user, to);
      const sizes = await Promise.all(backups.map(async ({ path }) => (await stat(path)).size));
      const walls = writing(user, to, backups[0]!.path, sizes.reduce((a, b) => a + b, 0) * 16 + 2 ** 40);
      // Each names the next one: each was found by its digest, and nothing else is behind the walls.
      const more = backups.map(({ path, name }) => ({ path, at: `/backups/${name}` }));
      const source = user ? more[0]!.at : backups[0]!.path;
      const options = { ...walls, more, memoryBytes: memoryBytes(backups.length) };
      await qemuImg(
        ['convert', '-W', '-m', '8', '-f', 'qcow2', '-O', 'qcow2', source, walls.to],
        withSignal(options, work),
      );
    },
    async takeOver({ path, format, sizeBytes }, to, work) {
      await give(user, to);
      const walls = writing(user, to, path, sizeBytes + tableBytes(sizeBytes));
      const source = user ? inside : path;
      await qemuImg(
        ['convert', '-W', '-m', '8', '-f', format, '-O', 'qcow2', source, walls.to],
        withSignal({ ...walls, memoryBytes: memoryBytes(1) }, work),
      );
    },
  };
}

async function stream(user: GuestUser | undefined, chain: LayerChain, onto: BuildsOn, work: ToolWork): Promise<void> {
  const sizes = [chain.top, ...chain.lower].map(({ sizeBytes }) => sizeBytes);
  const { node, walls } = inPlace(user, chain, Math.max(...sizes));
  await give(user, chain.top.path);
  const streaming = { volumeId: nobodys, layerId: chain.top.layerId, onto };
  await withStorageDaemon(
    node,
    withSignal(walls, work),
    (execute) =>
      // Told anew what it is, a node flushes first; for a daemon there is no shorter way.
      streamJob(execute, streaming, work, async () => void (await execute('blockdev-reopen', { options: [node] }))),
    secretObjects(chain),
  );
}

/** By a daemon, which takes secrets by its monitor. */
async function growEncrypted(
  node: BlockNode,
  walls: Walls,
  { sizeBytes, secrets }: { sizeBytes: number; secrets: ReturnType<typeof secretObjects> },
): Promise<void> {
  const resize = { 'node-name': node['node-name'], size: sizeBytes };
  await withStorageDaemon(node, walls, async (execute) => void (await execute('block_resize', resize)), secrets);
}

async function sink(user: GuestUser | undefined, chain: LayerChain, onto: LayerId, work: ToolWork): Promise<void> {
  const at = chain.lower.findIndex(({ layerId }) => layerId === onto);
  const [sunk, below] = [chain.lower.slice(0, at), chain.lower[at]!];
  const sizes = [chain.top, ...chain.lower].map(({ sizeBytes }) => sizeBytes);
  const { node, walls } = inPlace(user, chain, Math.max(...sizes), below.path);
  await give(user, chain.top.path);
  const { layerId, key } = chain.top;
  const sinking = { volumeId: nobodys, top: layerId, layerId, keyId: key?.id, onto };
  const between = sunk.map(({ layerId }) => layerId);
  await withStorageDaemon(
    node,
    withSignal(walls, work),
    (execute) => sinkJob(execute, { ...sinking, sunk: between }, work),
    secretObjects(chain),
  );
}

async function backUp(
  user: GuestUser | undefined,
  chain: LayerChain,
  { to, earlier, sealed }: { to: string; earlier: readonly BackupFile[]; sealed?: Sealed | undefined },
  work: ToolWork,
): Promise<void> {
  const { node, walls } = reading(user, chain, to);
  await give(user, to);
  const [parent] = earlier;
  if (!parent) {
    const compressed = ['-c', '-O', 'qcow2', '-o', 'compression_type=zstd'];
    await qemuImg(['convert', '-W', '-m', '8', ...compressed, asJson(node), walls.to], withSignal(walls, work));
    return;
  }
  // Empty: what it reads through what is below it is compared with the parent, and what differs is written.
  const { sizeBytes } = chain.top;
  await writeOverlay(to, { sizeBytes, buildsOn: null, format: 'qcow2', luks: sealed?.luks }, { durable: false });
  if (sealed) {
    await withPointers({ user, to, sizeBytes, key: sealed.key }, earlier, async (pointers) => {
      const overlay = {
        ...{ driver: 'qcow2', ...encryption(sealed), file: { driver: 'file', filename: walls.to }, backing: node },
      };
      const keys = [...keysOf(chain).filter(({ id }) => id !== sealed.key.id), sealed.key];
      const objects = keys.flatMap(({ id }, at) => ['--object', `secret,id=${keyObject(id)},file=${secretAt(at)}`]);
      const more = [...walls.more, ...pointers.files];
      const secrets = keys.map(({ passphrase }) => passphrase!);
      const options = { ...walls, more, secrets, memoryBytes: memoryBytes(more.length) };
      const rebase = ['rebase', ...objects, '-b', pointers.first, '-F', 'qcow2', asJson(overlay)];
      await qemuImg(rebase, withSignal(options, work));
    });
    return;
  }
  const overlay = { driver: 'qcow2', file: { driver: 'file', filename: walls.to }, backing: node };
  const more = [...walls.more, ...earlier.map(({ path, name }) => ({ path, at: `/backups/${name}` }))];
  const below = user ? `/backups/${parent.name}` : parent.path;
  const options = { ...walls, more, memoryBytes: memoryBytes(more.length) };
  await qemuImg(['rebase', '-b', below, '-F', 'qcow2', asJson(overlay)], withSignal(options, work));
}

/** The file that is written is the program's while it is. */
const give = async (user: GuestUser | undefined, path: string): Promise<void> => {
  if (user) await chown(path, user.uid, user.gid);
};

/** What is of a cache nobody else may read, and the program has it meanwhile. */
async function lent(user: GuestUser | undefined, { lower }: LayerChain, work: () => Promise<void>): Promise<void> {
  const theirs = user ? lower.filter(({ cache }) => cache) : [];
  for (const { path } of theirs) await give(user, path);
  try {
    await work();
  } finally {
    for (const { path } of theirs) await chown(path, 0, 0);
  }
}

const asJson = (node: BlockNode): string => `json:${JSON.stringify(node)}`;
const withSignal = <W extends Walls>(walls: W, { signal }: ToolWork): W => ({ ...walls, signal });

/** The lower files of a chain, and where they are for whoever reads them. */
function placed(user: GuestUser | undefined, files: readonly string[]) {
  const more = files.map((path, index) => ({ path, at: `/layers/${index}` }));
  const places = new Map(more.map(({ path, at }) => [path, user ? at : path]));
  return { more, placeOf: (path: string) => places.get(path)! };
}

const lowerFiles = ({ lower, base }: LayerChain): string[] => [
  ...lower.map(({ path }) => path),
  ...(base ? [base.path] : []),
];

/** The top is written where it is, and with it, where it is said, one that is below it. */
function inPlace(user: GuestUser | undefined, chain: LayerChain, sizeBytes: number, alsoWritten?: string) {
  const placement = placed(user, lowerFiles(chain));
  const { placeOf } = placement;
  const more = placement.more.map((each) => (each.path === alsoWritten ? { ...each, written: true as const } : each));
  const top = user ? outside : chain.top.path;
  const spelling = { placeOf: (path: string) => (path === chain.top.path ? top : placeOf(path)) };
  const node = chainNodes(chain, { ...spelling, volumeId: nobodys, readOnly: false });
  const maxBytes = sizeBytes + tableBytes(sizeBytes);
  const walls: Walls = {
    ...{ user, path: more[0]?.path ?? chain.top.path, more, memoryBytes: memoryBytes(more.length + 1) },
    ...{ output: { path: chain.top.path, maxBytes }, timeoutMs: longMs, nullDevice: true },
  };
  return { node, walls };
}

/** The chain is read, and another file written. */
function reading(user: GuestUser | undefined, chain: LayerChain, to: string) {
  const { more, placeOf } = placed(user, [chain.top.path, ...lowerFiles(chain)]);
  const { sizeBytes } = chain.top;
  const walls = writing(user, to, chain.top.path, sizeBytes + tableBytes(sizeBytes));
  return {
    node: chainNodes(chain, { placeOf, readOnly: true }),
    walls: { ...walls, more, memoryBytes: memoryBytes(more.length + 1) },
  };
}

const writing = (user: GuestUser | undefined, to: string, path: string, maxBytes: number): Walls & { to: string } => ({
  ...{ user, path, output: { path: to, maxBytes }, timeoutMs: longMs, nullDevice: true },
  to: user ? outside : to,
});

async function qemuImg(command: string[], walls: Walls): Promise<void> {
  const { stderr, failed } = await runWalledIn(['qemu-img', ...command], walls);
  walls.signal?.throwIfAborted();
  if (!failed) return;
  const words = stderr.trim().slice(-300) || 'it took too long or too much';
  throw new HostFault(faultCode(words, 'qemu_img_failed'), `qemu-img ${command[0]}: ${words}`);
}
