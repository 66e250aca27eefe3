/**
 * Layers in pools of Ceph clusters. Read only where the settings name such a pool: no other host pays for it. Owns `<data>/rbd` and
 * `<data>/rbd-work`.
 */
import { join } from 'node:path';
import type { DesiredLayer } from '../../../contract/host/index.ts';
import type { ImageId, LayerId } from '../../../contract/ids.ts';
import type { ChainLink } from '../chain.ts';
import type { LayerKind } from '../kind.ts';
import type { Pools } from '../pool.ts';
import { rbdLayers } from './kind.ts';
import { Grants, remoteLink } from './open.ts';
import { RbdPool } from './pool.ts';
import { sweepPool } from './sweep.ts';
import { RbdWork } from './work.ts';
import { poolOf, type RbdWorld } from './world.ts';

export interface RbdOptions {
  pools: Pools;
  dataDirectory: string;
  desired(id: LayerId): DesiredLayer | undefined;
  children(id: LayerId): DesiredLayer[];
}

export class RbdStorage {
  readonly kind: LayerKind;
  readonly #options: RbdOptions;
  readonly #world: RbdWorld;
  readonly #grants: Grants;

  constructor(options: RbdOptions) {
    const { pools, dataDirectory, desired, children } = options;
    this.#options = options;
    this.#grants = new Grants(join(dataDirectory, 'rbd'));
    const made = pools.remote((setting, owner) => new RbdPool(setting, owner));
    this.#world = { pools: made, work: new RbdWork(dataDirectory), copies: new Map(), desired, children };
    this.kind = rbdLayers(this.#world);
  }

  async open(): Promise<void> {
    await this.#world.work.open();
  }

  /** Ends all programs of the clusters. */
  close(): void {
    for (const { client } of this.#world.pools.values()) client.close();
  }

  /** It is, or was, one of these. */
  has(layer: DesiredLayer): boolean {
    const known = layer.presence === 'present' || this.#options.pools.has(layer.pool);
    const pool = poolOf(this.#world, layer);
    return known ? pool !== undefined : pool?.ledger.of(layer.id) !== undefined;
  }

  /** Undefined: it is none of these. */
  link(id: LayerId): Promise<ChainLink> | undefined {
    const name = this.#options.desired(id)?.pool;
    const pool = name === undefined ? undefined : this.#world.pools.get(name);
    return pool && remoteLink({ pool, name: name!, id, pools: this.#options.pools, directory: this.#grants.directory });
  }

  /** Lets go what nobody needs any more. Answers what nobody accounts for. */
  async sweep(isNamed: (id: LayerId) => boolean, imageInUse: (id: ImageId) => boolean): Promise<RbdSweep> {
    const swept: RbdSweep = { unclaimed: [], failed: [] };
    await this.#grants.sweep();
    for (const [pool, remote] of this.#world.pools) {
      try {
        const files = await sweepPool(remote, { isNamed, imageInUse });
        if (files.length > 0) swept.unclaimed.push({ pool, files });
      } catch (error) {
        swept.failed.push({ pool, error });
      }
    }
    return swept;
  }
}

export interface RbdSweep {
  unclaimed: { pool: string; files: string[] }[];
  failed: { pool: string; error: unknown }[];
}
