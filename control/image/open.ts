/** The area opens itself: its services and what works behind them, made in order, begun and ended together. */
import type { Logger } from 'pino';
import type { HostClient } from '../host/index.ts';
import type { ChangeFeed } from '../kit/change-log/changes.ts';
import type { Database } from '../kit/database/database.ts';
import { ImageController } from './controller.ts';
import { ImageCopies } from './copies.ts';
import { ImageDigests } from './digests.ts';
import { ImageImporter } from './importer.ts';
import { ImageImportService } from './imports.ts';
import { ImageMemberService } from './members.ts';
import { MetadefService } from './metadef/index.ts';
import { PropertyProtections, type PropertyRule } from './protection.ts';
import { ImageService } from './service.ts';
import { ImageTransfer } from './transfer.ts';
import { webRules } from './web-rules.ts';
import { WebSource } from './web-source.ts';

export interface ImageAreaOptions {
  database: Database;
  feed: ChangeFeed;
  client: HostClient;
  log: Logger;
  region: string;
  /** Of properties; none: everybody may do everything with them. */
  protections?: PropertyRule[] | undefined;
  /** On how many hosts an image shall be. */
  copies?: number | undefined;
  /** What tenants may import from beside public addresses and the usual ports. */
  web?: { ranges: string[]; ports: number[] } | undefined;
}

export function openImage({ database, feed, client, log, region, ...settings }: ImageAreaOptions) {
  const protections = new PropertyProtections(settings.protections);
  const images = new ImageService({ database, log, protections });
  const transfer = new ImageTransfer({ database, images, client, log });
  const rules = webRules({ database, ...(settings.web ?? { ranges: [], ports: [] }) });
  const importer = new ImageImporter({ database, transfer, web: new WebSource({ rules }), log });
  const { copies: wantedCopies = 1 } = settings;
  const copies = new ImageCopies({ database, client, transfer, log, copies: wantedCopies });
  const digests = new ImageDigests({ database, client, log });
  const controller = new ImageController({ database, feed, client, copies, digests, wantedCopies, log });
  return {
    services: {
      images,
      members: new ImageMemberService({ database }),
      transfer,
      imports: new ImageImportService({ database, region, protections }),
      webRules: rules,
      metadefs: new MetadefService({ database }),
    },
    /** For the work queue. */
    tasks: { ...controller.tasks, ...importer.tasks },
    start: () => controller.start(),
    async stop() {
      controller.stop();
      transfer.stop();
      await Promise.all([importer.stop(), copies.stop()]);
    },
  };
}
