/** A server: what shall be on the host, and what the host says that is. */
import type { Static } from 'typebox';
import type { AttachmentId, ImageId, LayerId, ProjectId, ServerId, VolumeId } from '../ids.ts';
import {
  boolean,
  count,
  dictionary,
  id,
  integer,
  list,
  literal,
  nullable,
  object,
  oneOf,
  optional,
  text,
  time,
} from '../schema/type.ts';
import { diskLimits, guestHardware } from './hardware.ts';
import { desiredImage } from './image.ts';
import { hostLimits, serverLimits as limits, migrationLimits } from './limits.ts';
import { guestMachine } from './machine.ts';
import { incomingServer, observedIncoming, observedOutgoing, outgoingServer } from './migration.ts';
import { desiredPort } from './port.ts';
import { capturedImage } from './service.ts';

/** As the database counts them. */
const reboots = integer(0, 2 ** 31 - 1);

/** A disk of its own beside the one with its system: as large and formatted as it is made, then the guest's. */
export const desiredLocalDisk = object({
  name: text(limits.localDiskNameLength, { pattern: '^(ephemeral[0-9]|swap)$' }),
  sizeMiB: integer(1, limits.diskGiB * 1024),
  format: oneOf('ext2', 'ext3', 'ext4', 'swap'),
  /** What the guest is told beside it. Absent: nothing. */
  tag: optional(text(60)),
});
export type DesiredLocalDisk = Static<typeof desiredLocalDisk>;

/** A volume that its guest has as a disk. */
export const desiredVolume = object({
  id: id<VolumeId>(),
  attachmentId: id<AttachmentId>(),
  /** Its top, on this host. A guest that has the layer below open is switched to this one. */
  layerId: id<LayerId>(),
  /** As large as the guest shall see it; only grows. */
  sizeBytes: integer(1, Number.MAX_SAFE_INTEGER),
  /** Its place in the machine, which stays its own. */
  slot: integer(0, limits.volumes - 1),
  /** It boots from the disks in this order, 0 first; null: not from this one. */
  bootIndex: nullable(integer(0, 255)),
  readOnly: boolean,
  /** What the guest is told beside it. */
  tag: nullable(text(60)),
  /** How the API calls it: /dev/vdb. */
  device: text(limits.deviceNameLength),
  /** Of its type. Absent: none. */
  limits: optional(diskLimits),
  /**
   * The volume's second copy on another host: all that the guest writes goes there, too, and it is told that it is written when it is in both. `inSync`: control has written down that the copy has all of it.
   * The guest writes without it only after a document that names this copy no more: where the way there is cut, or the guest is to begin anew, the host says so (`copies`) and waits for that.
   * Absent: there is none.
   */
  copy: optional(
    object({
      id: id<LayerId>(),
      address: text(migrationLimits.addressLength),
      port: integer(1, 65_535),
      key: text(64, { pattern: '^[0-9a-f]{64}$' }),
      inSync: boolean,
    }),
  ),
});
export type DesiredVolume = Static<typeof desiredVolume>;

export const desiredServer = object({
  id: id<ServerId>(),
  projectId: id<ProjectId>(),
  userId: text(255),
  /** Ownership: a host runs the guest only under the epoch it was given. */
  epoch: count,
  generation: count,
  presence: oneOf('present', 'absent'),
  /**
   * paused: QEMU holds the guest's processors, its memory stays where it is; suspended: its memory is a file beside the disk and
   * no QEMU runs. A host that knows neither says `failed`.
   */
  power: oneOf('on', 'off', 'paused', 'suspended'),
  /**
   * What becomes of its guest when the host's lease ends, for then another host may be given it: it stands still, or its QEMU is ended. Absent: it runs
   * on, for nobody gives it to another host but by evidence that it does not run here.
   */
  onLeaseEnd: optional(oneOf('pause', 'stop')),
  /**
   * It runs on when the lease ends, and begins only under one, also after a restart of the machine: that this was without power may have been the evidence by which it
   * is another's. Absent: by what the host remembers.
   */
  beginsLent: optional(boolean),
  /** Raised with each reboot that was asked for; the host has served it when its own count is equal. */
  reboot: object({ count: reboots, type: oneOf('soft', 'hard') }),
  /** Boots from a disk made of this image, with its own as the second one; each count is a disk made anew. Absent: it does not. */
  rescue: optional(nullable(object({ count, image: desiredImage }))),
  /** The rebuild that its own disk is made by, from `image`: another one is another disk, made anew. Absent: none, the first. */
  rootCount: optional(count),
  /**
   * A resize: the size is the document's, and what the disk was before is kept in case it is reverted. Absent: confirmed, or none.
   */
  resize: optional(object({ count, state: oneOf('kept', 'reverted') })),
  /**
   * Images to be made of its own disk, as it is at one moment, into this host's store. Named until their outcome is known; one that
   * is named no more is not wanted any more.
   */
  captures: optional(list(object({ imageId: id<ImageId>() }), limits.captures, { distinct: 'imageId' })),
  name: text(limits.nameLength + limits.nameSuffixLength),
  hostname: text(limits.hostnameLength),
  vcpus: integer(1, limits.vcpus),
  memoryMiB: integer(1, limits.memoryMiB),
  diskGiB: integer(0, limits.diskGiB),
  /** What the guest is told beside the disk with its system. Absent: nothing. */
  rootTag: optional(text(60)),
  /** In the order in which the guest sees them, behind the disk with its system. Absent: none. */
  localDisks: optional(list(desiredLocalDisk, limits.localDisks, { distinct: 'name' })),
  /** Absent: none. */
  volumes: optional(list(desiredVolume, limits.volumes, { distinct: 'id' })),
  /** As it was pinned when it got its first host. Absent (an older control): the newest type of the host, layout 0. */
  machine: optional(guestMachine),
  /** What its machine has beyond that, as image and flavor asked at its making. Absent (an older control): nothing. */
  hardware: optional(guestHardware),
  /** Null only where it boots from a volume. */
  image: nullable(desiredImage),
  ports: list(desiredPort, limits.ports, { distinct: 'id' }),
  configDrive: boolean,
  availabilityZone: text(limits.availabilityZoneLength),
  keys: list(
    object({ name: text(limits.keyNameLength), publicKey: text(limits.publicKeyLength), type: oneOf('ssh') }),
    limits.keys,
  ),
  /** Base64, as Nova takes it. */
  userData: nullable(text(limits.userDataLength, { format: 'base64' })),
  /** Files that it finds by the metadata service and on its config drive, named in meta_data.json. Absent: none. */
  files: optional(
    list(
      object({ path: text(limits.filePathLength), contents: text(limits.fileContentsLength, { format: 'base64' }) }),
      limits.files,
    ),
  ),
  /** What one request made, and of which flavor; absent (an older control): not told. */
  reservationId: optional(text(limits.reservationIdLength)),
  flavorName: optional(text(limits.nameLength)),
  /** The roles of whoever made it, for services of vendor data. Absent: not known. */
  bootRoles: optional(list(text(limits.roleNameLength), limits.bootRoles)),
  /** For the config drive of the first boot; absent as soon as the guest has run. */
  adminPassword: optional(text(limits.adminPasswordLength)),
  /**
   * What the guest posted as its password, and how often that has been cleared: one that was posted before the last clearing counts no
   * more. Absent: neither posted nor cleared.
   */
  guestPassword: optional(object({ cleared: count, text: nullable(text(limits.guestPasswordLength)) })),
  /** Nova's server metadata. */
  metadata: dictionary({
    maxProperties: limits.metadataItems,
    maxKeyLength: limits.metadataKeyLength,
    maxValueLength: limits.metadataValueLength,
  }),
  /** Which of the servers of one request this is, from 0; absent (an older control): 0. */
  launchIndex: optional(integer(0, limits.perRequest - 1)),
  /** ISO 8601. */
  createdAt: text(40, { pattern: '^\\d{4}-\\d{2}-\\d{2}T' }),
  /** It is on its way here from another host, which still owns it (migration.ts). Absent: it is not. */
  incoming: optional(incomingServer),
  /** It is on its way from here. Absent: it is not. */
  outgoing: optional(outgoingServer),
  /** Control's name for this content: the host gives it back in its hello, and is not told again what it has. */
  stamp: optional(text(limits.stampLength)),
});
export type DesiredServer = Static<typeof desiredServer>;

/** What a server that shall not be must say: the rest of its document may be anything, so that a delete always works. */
export const deletedServer = object({
  id: id<ServerId>(),
  epoch: count,
  generation: count,
  presence: literal('absent'),
});

/** The least that says "this shall not exist on your machine". */
export function absentServer(server: Pick<DesiredServer, 'id' | 'epoch' | 'generation'>): DesiredServer {
  return {
    id: server.id,
    projectId: '00000000-0000-0000-0000-000000000000' as ProjectId,
    userId: '00000000-0000-0000-0000-000000000000',
    epoch: server.epoch,
    generation: server.generation,
    presence: 'absent',
    power: 'off',
    reboot: { count: 0, type: 'soft' },
    name: '',
    hostname: '',
    vcpus: 1,
    memoryMiB: 1,
    diskGiB: 0,
    image: null,
    ports: [],
    configDrive: false,
    availabilityZone: '',
    keys: [],
    userData: null,
    metadata: {},
    createdAt: new Date(0).toISOString(),
  };
}

export const observedServer = object({
  id: id<ServerId>(),
  epoch: count,
  generation: count,
  /**
   * building: a step towards the desired state is under way (`step` says which);
   * running: QEMU runs and every port is plugged; paused: so it is, and the guest stands still;
   * suspended: its memory is saved, no QEMU;
   * stopped: disk exists, no QEMU; absent: nothing of the server is left on this host;
   * failed: the host gave up on this generation, `error` says why. Control decides what then.
   */
  state: oneOf('building', 'running', 'stopped', 'paused', 'suspended', 'absent', 'failed'),
  rebootCount: reboots,
  /** The count of the rescue that it runs from; 0, or absent: its own disk. */
  rescueCount: optional(count),
  /** The rebuild that its own disk is of; 0, or absent: the first. */
  rootCount: optional(count),
  /** The resize before which its disk is kept; 0, or absent: none. */
  resizeCount: optional(count),
  /** What came of the captures that its document names: one of `result` and `error`. */
  captures: optional(
    list(
      object({
        imageId: id<ImageId>(),
        result: nullable(capturedImage),
        error: nullable(
          object({ code: text(hostLimits.errorCodeLength), message: text(hostLimits.errorMessageLength) }),
        ),
      }),
      limits.captures,
    ),
  ),
  /** What its guest has open, whatever its document says by now; `releasing`: it was asked to let go of it. Empty, or absent: none. */
  volumes: optional(
    list(
      object({
        id: id<VolumeId>(),
        layerId: id<LayerId>(),
        sizeBytes: count,
        state: oneOf('attached', 'releasing'),
        /** The guest stands still until there is room for what it writes to it. Absent: it does not, or not for this one. */
        full: optional(boolean),
      }),
      2 * limits.volumes,
    ),
  ),
  /**
   * Of the second copies that its document names. copying: what was written before goes there; ready: the copy has all that the guest was told is written, and will have; lost: it can not be
   * vouched for any more, and the guest waits until its document says that it may do without (`error`: what went wrong; null: its QEMU is to begin).
   */
  copies: optional(
    list(
      object({
        volumeId: id<VolumeId>(),
        id: id<LayerId>(),
        state: oneOf('copying', 'ready', 'lost'),
        error: nullable(
          object({ code: text(hostLimits.errorCodeLength), message: text(hostLimits.errorMessageLength) }),
        ),
      }),
      limits.volumes,
    ),
  ),
  /** Of the migration that its document names, as long as it does. */
  incoming: optional(observedIncoming),
  outgoing: optional(observedOutgoing),
  /** What its guest posted as its password, and after how many clearings; control keeps the first one of each. */
  guestPassword: optional(object({ cleared: count, text: text(limits.guestPasswordLength) })),
  /** What the watchdog does with its guest when the lease ends, whatever its document says by now. Absent: nothing. */
  onLeaseEnd: optional(oneOf('pause', 'stop')),
  /** What the host is doing or waiting for, for people; e.g. 'fetching image, 40 of 64 MiB'. */
  step: nullable(text(hostLimits.stepLength)),
  error: nullable(object({ code: text(hostLimits.errorCodeLength), message: text(hostLimits.errorMessageLength) })),
  /** ISO 8601; when the present QEMU started. */
  startedAt: nullable(time),
});
export type ObservedServer = Static<typeof observedServer>;
