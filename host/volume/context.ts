/** What the work on layers needs from around it; made once by Host, handed down. */
import type { ImageFetcher } from '../image/fetch.ts';
import type { LaterDigests } from '../image/later-digests.ts';
import type { ImageStore } from '../image/store.ts';
import type { UploadContext } from '../image/upload.ts';
import type { Lease } from '../lease/lease.ts';
import type { HostLogger } from '../logger.ts';
import type { Together } from '../together.ts';
import type { BackupDirectory } from './backups.ts';
import type { LayerCopies } from './copies.ts';
import type { Exports } from './export/exports.ts';
import type { LayerFiles } from './layer-files.ts';
import type { LayerLedger } from './ledger.ts';
import type { ManagedFiles } from './managed.ts';
import type { OutcomeStore } from './outcomes.ts';
import type { Pools } from './pool.ts';
import type { Receivers } from './receive/receivers.ts';
import type { LayerTools } from './tools.ts';

export interface LayerContext {
  pools: Pools;
  files: LayerFiles;
  ledger: LayerLedger;
  outcomes: OutcomeStore;
  backups: BackupDirectory;
  exports: Exports;
  receivers: Receivers;
  managed: ManagedFiles;
  copies: LayerCopies;
  tools: LayerTools;
  images: ImageStore;
  fetcher: ImageFetcher;
  /** How the image of a layer is taken in, and its digests are found. */
  upload: UploadContext;
  laterDigests: Pick<LaterDigests, 'find'>;
  /** Directories whose entries shall survive a power failure. */
  sync: Together<string>;
  /** Undefined: all is this process's own (tests). */
  guestGid: number | undefined;
  lease: Pick<Lease, 'state'>;
  durable: boolean;
  limits: { retryFirstMs: number; retryMaxMs: number };
  log: HostLogger;
  /** Called after each step with its name; tests throw here to die. */
  step(name: string): void | Promise<void>;
}
