/** The server's tables as Kysely sees them; the columns' meaning stands in migration 0005. */
import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';
import type { ServerHardware } from '../hardware/index.ts';
import type { PlacementPolicy } from '../placement/index.ts';
import type {
  EvacuationPolicy,
  FlavorSnapshot,
  KeySnapshot,
  LocalDisk,
  ServerFault,
  ServerImage,
  ServerMachine,
  ServerRoot,
} from './snapshots.ts';
import type {
  ObservedState,
  Power,
  ServerCapture,
  ServerMove,
  ServerRescue,
  ServerResize,
  ServerShelve,
} from './states.ts';

export interface ServerTable {
  id: string;
  project_id: string;
  user_id: string;
  name: string;
  description: string | null;
  hostname: string;
  image_id: string | null;
  image: Json<ServerImage> | null;
  flavor_id: string;
  flavor: Json<FlavorSnapshot>;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  /** The disks beside the one with its system, in the order in which its guest sees them. */
  local_disks: Json<LocalDisk[]>;
  /** What the guest is told beside the disk that it boots from. */
  root_tag: string | null;
  /** What those take of the host's disk. */
  local_gib: Generated<number>;
  key_name: string | null;
  keys: Json<KeySnapshot[]>;
  config_drive: Generated<boolean>;
  metadata: Json<Record<string, string>>;
  tags: Generated<string[]>;
  availability_zone: string | null;
  requested_host_id: string | null;
  server_group_id: string | null;
  /** Ids of servers on whose host it shall be, or shall not be. */
  same_host: string[] | null;
  different_host: string[] | null;
  access_ipv4: string | null;
  access_ipv6: string | null;
  locked: Generated<boolean>;
  locked_by: 'owner' | 'admin' | null;
  locked_reason: string | null;
  disk_config: Generated<string>;
  reservation_id: string;
  launch_index: Generated<number>;
  /** Of whoever made it, as they were then; null: not known. */
  boot_roles: string[] | null;
  /** Of the hosts that take it it goes to the emptiest, or to the fullest. */
  placement_policy: Generated<PlacementPolicy>;
  hardware: Json<ServerHardware>;
  /** Given with its first host, then kept; null: it has had none. */
  machine: Json<ServerMachine> | null;
  host_id: string | null;
  epoch: Generated<number>;
  generation: Generated<number>;
  desired_presence: Generated<'present' | 'absent'>;
  desired_power: Generated<Power>;
  desired_reboot_count: Generated<number>;
  desired_reboot_type: Generated<'soft' | 'hard'>;
  /** From what it boots instead of its own disk. */
  desired_rescue: Json<ServerRescue> | null;
  /** The generation of the last rebuild; 0: none, its disk is the first. */
  desired_root_count: Generated<number>;
  /** A resize that is not confirmed, or was reverted. */
  desired_resize: Json<ServerResize> | null;
  /** The image that its host is making of its disk. */
  desired_capture: Json<ServerCapture> | null;
  /** It is shelved, or on its way there or back. */
  desired_shelve: Json<ServerShelve> | null;
  /** What its disk is made of, where that is not its image: it was unshelved from it. */
  desired_root: Json<ServerRoot> | null;
  /** It is on its way to another host, or came by one that is not confirmed. */
  desired_move: Json<ServerMove> | null;
  /** What becomes of it when its host is lost; null: nothing. */
  evacuation_policy: Json<EvacuationPolicy & { generation: number }> | null;
  /** What made the present generation, as people call it. */
  desired_verb: Generated<string>;
  /** Since when it waits to be reclaimed; null: it is not deleted. */
  soft_deleted_at: Timestamp | null;
  observed_generation: Generated<number>;
  observed_state: Generated<ObservedState>;
  /** As last seen while it was none of the passing states; null before the first. */
  observed_power: Power | null;
  observed_reboot_count: Generated<number>;
  /** The `count` of the rescue that it runs from; 0: its own disk. */
  observed_rescue_count: Generated<number>;
  /** The rebuild that its disk is of. */
  observed_root_count: Generated<number>;
  /** The resize before which its host keeps the disk; 0: none. */
  observed_resize_count: Generated<number>;
  /** Since when the resize waits to be confirmed. */
  resized_at: Timestamp | null;
  /** What becomes of its guest when the lease of its host ends; null: it runs on. */
  observed_on_lease_end: 'pause' | 'stop' | null;
  observed_started_at: Timestamp | null;
  observed_step: string | null;
  observed_error: Json<{ code: string; message: string }> | null;
  observed_at: Timestamp | null;
  fault: Json<ServerFault> | null;
  launched_at: Timestamp | null;
  /** Posted by its guest; the host's word, like what is observed. */
  guest_password: string | null;
  /** How often its owner has cleared it. */
  guest_password_cleared: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface ServerUserDataTable {
  server_id: string;
  user_data: string;
}

export interface ServerPersonalityTable {
  server_id: string;
  /** In the order of the request; contents in base64. */
  files: Json<{ path: string; contents: string }[]>;
}

export interface ServerAdminPasswordTable {
  server_id: string;
  password: string;
}

export interface ServerPortTable {
  server_id: string;
  port_id: string;
  position: number;
  tag: string | null;
}

interface ServerTables {
  server: ServerTable;
  server_user_data: ServerUserDataTable;
  server_personality: ServerPersonalityTable;
  server_admin_password: ServerAdminPasswordTable;
  server_port: ServerPortTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends ServerTables {}
}
