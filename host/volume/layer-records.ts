/**
 * Of what this host lets others use of a layer a file each, `<data>/<name>/<layer id>.json`: written before a process has the user, and gone when none has it any more, so a user belongs to one of
 * them or to none, and whoever comes next finds what runs. No secret is in them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type LayerId, parseId } from '../../contract/ids.ts';
import { writeWhole } from '../files.ts';

interface LayerRecord {
  layerId: LayerId;
  /** Who has it open. Null (tests): as this process. */
  uid: number | null;
}

export class LayerRecords<Record extends LayerRecord> {
  readonly #name: string;
  readonly #asOurselves: boolean;

  /**
   * @param name of their directory in the data directory
   * @param options.asOurselves one without a user is a record, too
   */
  constructor(name: string, { asOurselves }: { asOurselves: boolean }) {
    this.#name = name;
    this.#asOurselves = asOurselves;
  }

  directory(dataDirectory: string): string {
    return join(dataDirectory, this.#name);
  }

  /** One that can't be read is of nobody: whoever runs as its user is found by the processes. */
  read(dataDirectory: string): Record[] {
    return namesIn(this.directory(dataDirectory)).flatMap((name) => {
      const id = name.endsWith('.json') ? parseId<LayerId>(name.slice(0, -5)) : undefined;
      const record = id && parsed<Record>(this.#file(dataDirectory, id));
      return record && record.layerId === id && this.#isUser(record.uid) ? [record] : [];
    });
  }

  async write(dataDirectory: string, record: Record): Promise<void> {
    await mkdir(this.directory(dataDirectory), { recursive: true, mode: 0o700 });
    await writeWhole(this.#file(dataDirectory, record.layerId), JSON.stringify(record));
  }

  remove(dataDirectory: string, id: LayerId): Promise<void> {
    return rm(this.#file(dataDirectory, id), { force: true });
  }

  /** A damaged record must not make ours of what root or the system runs. */
  #isUser(uid: number | null): boolean {
    return uid === null ? this.#asOurselves : Number.isSafeInteger(uid) && uid >= 1000;
  }

  #file(dataDirectory: string, id: LayerId): string {
    return join(this.directory(dataDirectory), `${id}.json`);
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function parsed<Record>(path: string): Record | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}
