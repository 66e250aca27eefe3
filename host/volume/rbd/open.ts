/**
 * How a guest's QEMU opens an image of the cluster. It needs the cluster's configuration and its user's key, which are root's: so each guest
 * that has such a volume gets a copy of both that only its own user reads. Owns `<data>/rbd`; what is older than an opening takes goes again.
 */
import { chown, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { LayerId } from '../../../contract/ids.ts';
import { writeWhole } from '../../files.ts';
import type { GuestUser } from '../../guest/users.ts';
import { HostFault } from '../../host-error.ts';
import type { ChainLink, RemoteNode } from '../chain.ts';
import type { RbdSetting } from './client.ts';
import type { Placed } from './ledger.ts';
import { layerImage, type RbdPool } from './pool.ts';
import { sizeIn } from './world.ts';

/** A cluster that is away fails an opening, and does not hold QEMU for five minutes, which is what librados waits for its monitors. */
const mountSeconds = 15;
/** QEMU reads both as it opens an image, and never again. */
const openingMs = 10 * 60_000;

const name = (pool: string, user: GuestUser | undefined): string => `${pool}-${user?.uid ?? 'own'}`;

export interface RbdImage {
  setting: RbdSetting;
  /** The pool's name on this host. */
  pool: string;
  directory: string;
  image: string;
  snapshot?: string;
}

function remoteNode({ setting, pool, directory, image, snapshot }: RbdImage): RemoteNode {
  const conf = (user: GuestUser | undefined) => join(directory, `${name(pool, user)}.conf`);
  return {
    grant: (user) => grant(setting, join(directory, name(pool, user)), user),
    node: (user) => ({
      ...{ driver: 'rbd', pool: setting.pool, image, conf: conf(user), user: setting.user },
      ...(setting.namespace !== undefined && { namespace: setting.namespace }),
      ...(snapshot !== undefined && { snapshot }),
    }),
  };
}

async function grant(setting: RbdSetting, path: string, user: GuestUser | undefined): Promise<void> {
  const [conf, keyring] = await Promise.all([readFile(setting.conf, 'utf8'), readFile(setting.keyring)]);
  // Files of its own QEMU could not write.
  const silent = ['admin socket =', 'log file =', 'log to stderr = false'];
  const own = [`[client.${setting.user}]`, `keyring = ${path}.keyring`, `client mount timeout = ${mountSeconds}`];
  await mkdir(join(path, '..'), { recursive: true, mode: 0o711 });
  for (const [file, contents] of [
    [`${path}.keyring`, keyring],
    [`${path}.conf`, `${conf.trimEnd()}\n\n${[...own, ...silent].join('\n')}\n`],
  ] as const) {
    await writeWhole(file, contents, { mode: 0o400 });
    if (user) await chown(file, user.uid, user.gid);
  }
}

/** Takes back what was given long ago. Owns nothing on disk but the end of it. */
export class Grants {
  readonly directory: string;
  /** By name, when it was seen first: what another life of this process gave is as good as new. */
  readonly #seen = new Map<string, number>();

  constructor(directory: string) {
    this.directory = directory;
  }

  async sweep(): Promise<void> {
    const now = performance.now();
    for (const each of await readdir(this.directory).catch(() => [])) {
      const path = join(this.directory, each);
      const { ino } = await stat(path);
      // Given once more: another file.
      const file = `${each} ${ino}`;
      const at = this.#seen.get(file) ?? now;
      this.#seen.set(file, at);
      if (now - at <= openingMs) continue;
      await rm(path, { force: true });
      this.#seen.delete(file);
    }
  }
}

export interface LinkOf {
  pool: RbdPool;
  /** The pool's on this host. */
  name: string;
  id: LayerId;
  pools: { require(name: string, options: { toMake: boolean }): Promise<unknown> };
  directory: string;
}

/** A layer of the pool as a link of a chain. @throws HostFault `layer_not_ready` where it is not (yet) there, or its pool's own */
export async function remoteLink({ pool, name, id, pools, directory }: LinkOf): Promise<ChainLink> {
  // QEMU would wait for a cluster that is away, and its guest with it.
  await pools.require(name, { toMake: false });
  const placed = pool.ledger.of(id);
  const sizeBytes = placed && !placed.after ? await sizeIn(pool, id, placed) : undefined;
  if (!placed || sizeBytes === undefined) throw new HostFault('layer_not_ready', `layer ${id} is not in its pool yet`);
  const image = layerImage(placed.image);
  const snapshot = placed.frozen ? id : undefined;
  const remote = remoteNode({ setting: pool.setting, pool: name, directory, image, ...(snapshot && { snapshot }) });
  const path = `rbd:${pool.client.spec(image, snapshot)}`;
  return { layerId: id, path, sizeBytes, remote, within: earlier(pool, id, placed) };
}

function earlier({ ledger }: RbdPool, id: LayerId, { image }: Placed): LayerId[] {
  const found: LayerId[] = [];
  for (let base = ledger.of(id)?.buildsOn; base?.kind === 'layer'; base = ledger.of(base.id)?.buildsOn) {
    if (ledger.of(base.id)?.image !== image || found.includes(base.id)) break;
    found.push(base.id);
  }
  return found;
}
