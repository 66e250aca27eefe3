/**
 * What is done to whole files of layers by QEMU's own programs. The real ones are in qemu-tools.ts; simulated hosts have some that change
 * headers only. None is called for a file that a guest writes to.
 */

import type { LayerId } from '../../contract/ids.ts';
import type { ChainKey, LayerChain } from './chain.ts';
import type { CapturedImageFormat } from './formats.ts';
import type { LuksHeader } from './luks.ts';
import type { BuildsOn } from './names.ts';

export interface ToolWork {
  /** Ends it; what it has written is nobody's. */
  signal: AbortSignal;
  progress(percent: number): void;
}

export interface BackupFile {
  name: string;
  path: string;
}

/** How a file that is written is encrypted, and what it is compared with. */
export interface Sealed {
  key: ChainKey;
  luks: LuksHeader;
}

/** One that was judged (managed.ts). */
export interface ManagedFile {
  path: string;
  format: 'raw' | 'qcow2';
  sizeBytes: number;
}

export interface LayerTools {
  /** Moves into the top what it reads of the layers above `onto`, and has its file say that it builds on that. In place. */
  stream(chain: LayerChain, onto: BuildsOn, work: ToolWork): Promise<void>;
  /** Moves down, into the layer `onto` of the chain, what lies between it and the top, and has the top's file say that it builds on that. */
  sink(chain: LayerChain, onto: LayerId, work: ToolWork): Promise<void>;
  /** The top is so large from now on. */
  grow(chain: LayerChain, sizeBytes: number): Promise<void>;
  /** Writes what the chain holds into a file that is there and empty. The chain's top is as large as the image shall be. */
  convert(chain: LayerChain, to: string, format: CapturedImageFormat, work: ToolWork): Promise<void>;
  /**
   * Writes what the chain holds into a file as a qcow2 that stands for itself, compressed; or, where there are earlier backups (the nearest
   * first), what differs from the first of them.
   * @param options.sealed what differs is encrypted so, and the earlier ones are with the same key
   */
  backUp(
    chain: LayerChain,
    to: string,
    options: { earlier: readonly BackupFile[]; sealed?: Sealed | undefined },
    work: ToolWork,
  ): Promise<void>;
  /** Writes what the first of these backups holds into a file that is there and empty; the others are what it builds on. */
  restore(backups: readonly BackupFile[], to: string, work: ToolWork): Promise<void>;
  /** Writes what the file holds, which was judged, into a qcow2 file that is there and empty. */
  takeOver(file: ManagedFile, to: string, work: ToolWork): Promise<void>;
}
