/**
 * Volumes that come and go. The row of an attachment is the truth of it (control/storage/attachment): the host plugs and unplugs while the
 * guest runs, or has it so at the next start. A guest that does not let go of a volume keeps it, and is told so, until its next stop.
 */
import {
  attachVolume as attach,
  detachVolume as detach,
  keepOnTermination,
} from '../../../storage/server-volume/index.ts';
import { devicePrefix, diskDevices } from '../local-disks.ts';
import type { ServerRow } from '../server.ts';
import { type ServerAction, shortlyMs } from './action.ts';

export interface AttachVolumeWish {
  volumeId: string;
  tag: string | null;
  deleteOnTermination: boolean;
  /** Told in the transaction how the API calls it: /dev/vdb. */
  attached(device: string): void;
}

export const attachVolume: ServerAction<AttachVolumeWish> = {
  verb: 'attach_volume',
  doing: 'attach a volume to a server',
  deadlineMs: shortlyMs,
  async decide({ tx, caller, refusing }, server, { attached, ...wish }) {
    const { device, brought } = await attach(tx, caller, placeOf(server), { ...wish, refusing });
    attached(device);
    // One that is brought from another host is the server's when it is there: the server goes on, and is told then.
    return brought ? 'done' : {};
  },
};

const placeOf = (server: ServerRow) => {
  const { id, project_id, host_id, generation, hardware } = server;
  const prefix = devicePrefix(hardware);
  return { id, project_id, host_id, generation, prefix, devices: diskDevices(server, prefix) };
};

/** By the volume's id. One that is on its way out already is not asked for twice. */
export const detachVolume: ServerAction<string> = {
  verb: 'detach_volume',
  doing: 'detach a volume from a server',
  deadlineMs: shortlyMs,
  async decide({ tx }, server, volumeId) {
    const outcome = await detach(tx, server, volumeId);
    return outcome === 'asked' ? {} : outcome;
  },
};

export interface TerminationWish {
  volumeId: string;
  deleteOnTermination: boolean;
}

/** Whether a volume goes with its server; nothing of the server changes by it. */
export const updateAttachment: ServerAction<TerminationWish> = {
  verb: 'update_attachment',
  doing: 'change an attachment of a volume',
  locked: true,
  deadlineMs: shortlyMs,
  async decide({ tx }, server, wish) {
    await keepOnTermination(tx, server.id, wish);
    return undefined;
  },
};
