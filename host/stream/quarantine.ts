/**
 * What control was told on one connection of this host's quarantine, so that only differences are told again, in messages that
 * control takes. Lives as long as the connection; a new one starts from nothing. Pure.
 */
import type { HostMessage, QuarantinedImage, QuarantinedServer } from '../../contract/host/index.ts';
import type { ServerId } from '../../contract/ids.ts';

export interface HostQuarantine {
  servers: QuarantinedServer[];
  images: QuarantinedImage[];
}

/** Of the documents in one message; ids and images come on top, and control takes 16 MiB. */
const maxDocumentChars = 4 * 1024 * 1024;

export class ToldQuarantine {
  #servers = new Map<ServerId, string>();
  #images = '';
  #begun = false;

  /** The messages that bring control from what it was told to what is; none where it knows. */
  next({ servers, images }: HostQuarantine): HostMessage[] {
    const texts = new Map(servers.map((server) => [server.id, JSON.stringify(server)]));
    const changed = servers.filter(({ id }) => this.#servers.get(id) !== texts.get(id));
    const imagesText = JSON.stringify(images);
    const fewer = [...this.#servers.keys()].some((id) => !texts.has(id));
    if (this.#begun && changed.length === 0 && !fewer && imagesText === this.#images) return [];
    this.#begun = true;
    this.#servers = texts;
    this.#images = imagesText;
    const ids = [...texts.keys()];
    return parts(changed, (id) => texts.get(id)!.length).map((part) => ({
      ...{ type: 'quarantine', ids, images },
      servers: part,
    }));
  }
}

/** At least one part, even where there is nothing. */
function parts(servers: QuarantinedServer[], size: (id: ServerId) => number): QuarantinedServer[][] {
  const all: QuarantinedServer[][] = [[]];
  let chars = 0;
  for (const server of servers) {
    chars += size(server.id);
    if (chars > maxDocumentChars && all.at(-1)!.length > 0) {
      all.push([]);
      chars = size(server.id);
    }
    all.at(-1)!.push(server);
  }
  return all;
}

/** For people: without documents. */
export const quarantineStatus = ({ servers, images }: HostQuarantine) => ({
  servers: servers.map(({ id, reason, since, guest }) => ({ id, reason, since, guest })),
  images: images.map(({ id }) => id),
});
