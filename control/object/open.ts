/** The area opens itself: its services and what works behind them, made in order, begun and ended together. */
import type { Logger } from 'pino';
import type { HostClient } from '../host/index.ts';
import type { Database } from '../kit/database/database.ts';
import { Blobs } from './blobs.ts';
import { Bodies } from './bodies.ts';
import { Commits } from './commit.ts';
import { ContainerService } from './containers.ts';
import { Disks } from './disks.ts';
import { Finder } from './find.ts';
import { Intents, type IntentTimes } from './intents.ts';
import { Janitor } from './janitor.ts';
import { ObjectService } from './objects.ts';
import { UploadService } from './uploads.ts';

export interface ObjectAreaOptions {
  database: Database;
  client: Pick<HostClient, 'objects'>;
  log: Logger;
  /** Who this process is to those after it. */
  holder: string;
  /** On how many disks each blob lies. */
  copies?: number | undefined;
  intents?: IntentTimes;
  janitor?: { everyMs?: number; graceMs?: number };
}

export function openObject({ database, client, log, holder, copies = 1, ...settings }: ObjectAreaOptions) {
  const disks = new Disks({ database, client, log });
  const intents = new Intents({ database, log, holder, ...(settings.intents && { times: settings.intents }) });
  const blobs = new Blobs({ disks, intents, client, copies, log });
  const finder = new Finder({ database });
  const commits = new Commits({ database });
  const bodies = new Bodies({ blobs });
  const objects = new ObjectService({ database, blobs, bodies, finder, commits, log });
  const janitor = new Janitor({ database, client, disks, intents, commits, log, ...settings.janitor });
  return {
    services: {
      containers: new ContainerService({ database }),
      objects,
      uploads: new UploadService({ database, objects, bodies }),
    },
    /** For tests. */
    behind: { disks, intents, janitor },
    start() {
      disks.start();
      janitor.start();
    },
    async stop() {
      janitor.stop();
      disks.stop();
      await intents.stop();
    },
  };
}
