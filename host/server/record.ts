/**
 * What the host must remember of a server beyond its own death: what its disk was made from, and what the last QEMU was
 * started for. Owns <data>/servers/<id>/record.json, replaced whole. The record is written before the act that it
 * describes where the act can't be seen afterwards, and after it where it can.
 */
import type { CapturedImage, DesiredServer, GuestHardware, ObservedIncoming } from '../../contract/host/index.ts';
import type { ImageId, LayerId, MigrationId, PortId, ServerId, VolumeId } from '../../contract/ids.ts';
import { parseId } from '../../contract/ids.ts';
import { readIfThere, writeWhole } from '../files.ts';
import type { Way } from '../migration/break.ts';

/** What a disk was made from. */
export interface DiskRecord {
  imageId: ImageId;
  imageFormat: 'raw' | 'qcow2';
  sizeBytes: number;
}

/** The machine that a memory was saved of: it fits into no other. */
export interface MachineShape {
  accelerator: 'kvm' | 'tcg';
  vcpus: number;
  memoryMiB: number;
  configDrive: boolean;
  rescued: boolean;
  guestAgent: boolean;
  /** Type, processor and layout; absent: of before they were pinned. */
  machine?: string;
  hardware?: Omit<GuestHardware, 'guestAgent'>;
  /** Names and sizes of the ephemeral and swap disks; absent: none. */
  localDisks?: string[];
  /** In their order, MAC and MTU. */
  cards: string[];
  /** Ids and slots; absent: none. */
  volumes?: string[];
  /** It has the bus of volumes. */
  volumeBus?: true;
}

export interface ServerRecord {
  /** Under which the host last touched the guest; never goes back. */
  epoch: number;
  /** The guest's own user, see ../guest/users.ts; null: none yet. */
  uid: number | null;
  /** Its own disk, of the rebuild with this count; none, or 0: the first. */
  disk: (DiskRecord & { count?: number }) | null;
  /** The disk that it boots from instead, of the rescue with this count. */
  rescue: (DiskRecord & { count: number }) | null;
  /** Of which machine the memory is that lies beside the disk, or is being saved; null: none is wanted. */
  memory: MachineShape | null;
  /** What its disk was before a resize is kept in it, of that count (0: not yet whole), with the size that it had. */
  resize?: { count: number; fromBytes: number } | null;
  /** Images of its disk, made or failed, as long as somebody may ask for them. */
  captures?: CaptureRecord[];
  /** What the guest posted as its password, after so many clearings; absent: nothing. */
  guestPassword?: { cleared: number; text: string };
  /** Reboots served, in the count of the desired state. */
  rebootCount: number;
  /** Ports that were plugged, so that they are found again when the desired state no longer names them. */
  ports: PortId[];
  /** The cards of the QEMU that was started last; absent: of before they came and went while it ran. */
  cards?: CardRecord[];
  /** Volumes of the QEMU that was started last, each from before it is opened until it is closed; absent: none. */
  volumes?: VolumeRecord[];
  /** That QEMU has a bus into which they are plugged. */
  volumeBus?: boolean;
  /** Its way to or from another host, from before anything is made for it until its document names it no more; absent: none. */
  migration?: MigrationRecord | undefined;
  /** A QEMU that has really run: if there is none now, it ended without us. Null from before we end it. */
  running: { startedAt: string; bootId: string } | null;
  /**
   * The guest ended by itself (null) or QEMU died (why). It stays off until control asks for something new: a higher
   * generation or another reboot.
   */
  halted: { generation: number; error: { code: string; message: string } | null } | null;
}

interface MigrationOf {
  id: MigrationId;
  mode: 'live' | 'cold';
  error: { code: string; message: string } | null;
}

/** See contract/host/migration.ts for what follows from each state. */
export type MigrationRecord = MigrationOf &
  (
    | {
        side: 'incoming';
        /** `target`, once its QEMU listens there. */
        state: 'receiving' | 'taken_over' | 'given_up';
        target?: NonNullable<ObservedIncoming['target']>;
      }
    | {
        side: 'outgoing';
        /** `sending`: the guest is this host's for certain. */
        state: 'sending' | 'handing_over' | 'handed_over' | 'stayed' | 'lost_sight';
        /** Absent: none, or that of an older release. */
        way?: Way;
        downtimeMs?: number;
      }
  );
export type IncomingRecord = MigrationRecord & { side: 'incoming' };
export type OutgoingRecord = MigrationRecord & { side: 'outgoing' };

export interface CardRecord {
  id: PortId;
  slot: number;
  mac: string;
  mtu: number;
  /** When the guest was asked to let go of it (ms since 1970); its port has left it by then. */
  askedAt?: number;
}

export type DiskLimits = NonNullable<GuestHardware['diskLimits']>;

export interface VolumeRecord {
  id: VolumeId;
  slot: number;
  readOnly: boolean;
  /** Its top that is open, and as large as that is. */
  layerId: LayerId;
  sizeBytes: number;
  /** All that were its top in this QEMU, the present one last: each has a node until the volume is closed. */
  tops: LayerId[];
  limits: DiskLimits | null;
  /** False: it is on its way in. */
  plugged: boolean;
  /** When the guest was first asked to let go of it (ms since 1970). */
  askedAt?: number;
  /** The second copy to which this QEMU was told to write, too, from before it was; absent: none. */
  copy?: { id: LayerId; address: string; port: number } | undefined;
}

/** What came of an image that was to be made of its disk. */
export interface CaptureRecord {
  imageId: ImageId;
  result: CapturedImage | null;
  error: { code: string; message: string } | null;
}

/** What a guest posted since its password was last cleared: to this host, or to another one that told control. */
export function knownPassword(
  record: ServerRecord | undefined,
  desired: DesiredServer | undefined,
): string | undefined {
  const { cleared, text } = desired?.guestPassword ?? { cleared: 0, text: null };
  const posted = record?.guestPassword;
  return posted?.cleared === cleared ? posted.text : (text ?? undefined);
}

export const newRecord = (epoch: number): ServerRecord => ({
  epoch,
  uid: null,
  disk: null,
  rescue: null,
  memory: null,
  rebootCount: 0,
  ports: [],
  running: null,
  halted: null,
});

/** Undefined where there is none that can be read: then the disk that may lie beside it is not trusted either. */
export async function readRecord(path: string): Promise<ServerRecord | undefined> {
  const bytes = await readIfThere(path);
  if (!bytes) return undefined;
  try {
    const record = JSON.parse(bytes.toString('utf8')) as ServerRecord;
    const whole =
      Number.isSafeInteger(record.epoch) && Number.isSafeInteger(record.rebootCount) && Array.isArray(record.ports);
    // Older records have not all fields; those of before there was a user for each guest have none.
    return whole
      ? { ...newRecord(record.epoch), ...record, uid: Number.isSafeInteger(record.uid) ? record.uid : null }
      : undefined;
  } catch {
    return undefined;
  }
}

/** The record without changes, whatever else has become of it since. */
export function undone(record: ServerRecord, changes: Partial<ServerRecord>, before: ServerRecord): ServerRecord {
  const changed = Object.entries(before).filter(([key]) => Object.hasOwn(changes, key));
  const others = Object.entries(record).filter(([key]) => !Object.hasOwn(changes, key));
  return Object.fromEntries([...others, ...changed]) as unknown as ServerRecord;
}

export async function writeRecord(path: string, record: ServerRecord, options: { durable: boolean }): Promise<void> {
  await writeWhole(path, JSON.stringify(record), options);
}

export const isServerId = (name: string): ServerId | undefined => parseId<ServerId>(name);
