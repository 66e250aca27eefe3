/** What the compute area refuses (see contract/errors.ts). */
import type { NoFields } from '../../contract/errors.ts';

/** Why no machine here is as an image property or an extra spec asks. */
export type UnservedWhy =
  /** Of its values some are served, not this one. */
  | 'value'
  /** Not beside what else is asked for. */
  | 'beside'
  | 'unknown'
  | 'shared_processors'
  | 'one_numa_node'
  | 'small_pages'
  | 'no_encryption'
  | 'no_passthrough'
  | 'no_device'
  | 'no_kernel'
  | 'no_host_filters'
  | 'other_host'
  /** Its network counts a rate and a burst. */
  | 'no_card_peak'
  /** No host's kernel lets it say what a guest has of the processors. */
  | 'no_cpu_groups'
  | 'other_engine';

/** Servers. */
export interface ComputeReasons {
  server_not_found: { id: string };
  server_locked: { id: string };
  server_not_ready: { id: string };
  server_host_never_reported: { id: string };
  /** `call` is what the caller named the action. */
  server_state_conflict: { id: string; call: string; attribute: 'vm_state' | 'task_state'; value: string | null };
  server_never_placed: { id: string; call: string };
  /** Its image does not say that there is one. */
  server_without_agent: { id: string };
  /** What its TPM knows lies with its disk on its host, and would be lost. */
  server_with_tpm: { id: string; call: string };
  /** An image property or extra spec that asks for what no machine here has. */
  hardware_unserved: { of: 'image' | 'flavor'; name: string; value: string; why: UnservedWhy };
  /** No sockets, cores and threads make so many processors as image and flavor ask. */
  topology_unserved: { vcpus: number };
  /** The image asks for it, and no host has it. */
  machine_type_unserved: { type: string };
  interface_not_found: { id: string; port: string };
  server_not_on_network: { id: string };
  server_without_address: { id: string; address: string };
  too_many_interfaces: { maximum: number };
  rebuild_image_not_found: NoFields;
  /** It boots from a volume, which keeps its content. */
  rebuild_to_other_image: { image: string };
  resize_to_same_flavor: NoFields;
  resize_to_no_disk: NoFields;
  resize_of_disk_down: { disk_gib: number };
  resize_of_ephemeral_down: { ephemeral_gib: number };
  other_disk_bus: { wanted: string; bus: string };
  more_than_one_swap: NoFields;
  ephemeral_beyond_flavor: NoFields;
  swap_beyond_flavor: NoFields;
  /** Its host has no room, and no other takes over its disk. */
  /** `fix`: the nearest way out, in the tenant's words. */
  resize_does_not_fit: { id: string; fix: string };
  attach_bandwidth_exceeded: { id: string };
  attach_network_not_reached: { id: string; port: string };
  /** Or its resize is being confirmed. */
  not_resized: NoFields;
  /** A place may be chosen for a server that has none. */
  unshelve_in_place: { id: string };
  host_not_in_zone: { host: string; zone: string };
  /** Its owner deleted what its disk was saved as. */
  shelved_image_gone: { id: string; image: string };
  rescue_without_image: { id: string };
  rescue_image_unsupported: { id: string };
  /** There is no host that the server could move to; `why`: of those that there are, and what would help. Null: there is none beside its own. */
  no_other_host: { id: string; why: string | null };
  /** There are others, and none takes part in migrations of this kind. */
  no_able_host: { id: string };
  /** One of its volumes does not go along: `why` says what is in the way. */
  local_volumes: {
    id: string;
    volume: string;
    why: 'busy' | 'attaching' | 'cached' | 'in_cluster' | 'branched' | 'replicated';
  };
  /** Its volumes are where it is now, with what was written since, and do not go back with it. */
  volumes_moved: { id: string };
  /** Its disks lie on its host, and the caller does not want them copied. */
  disks_not_shared: { id: string };
  /** It boots from a medium that is read only. */
  move_of_medium: { id: string };
  move_of_rescued: { id: string };
  /** What it has can't be fetched. */
  source_host_away: { id: string };
  /** Its host takes no part in migrations: it is older, or has what they need not. */
  source_host_unable: { id: string };
  /** Of this server, by Nova's number. */
  migration_not_found: { id: string; migration: string };
  /** `call`: abort, or force_complete. */
  migration_state: { id: string; migration: string; status: string; call: string };
  move_to_same_host: { host: string };
  /** Nobody takes a server from a host that lives. */
  host_still_in_use: { host: string };
  /** Nobody hears it, and its guests may run all the same. */
  evacuation_unproven: { host: string };
  /** `kept`: it has gone already, and the host that it left has its disks. */
  evacuation_of_moving: { id: string; kept: boolean };
  /** That it boots from a volume is what does not allow it. */
  volume_backed: { id: string; call: string };
  server_counts_reversed: { min_count: number; max_count: number };
  one_hostname_for_many_servers: NoFields;
  one_port_for_many_servers: NoFields;
  one_fixed_ip_for_many_servers: NoFields;
  key_pair_unknown: { name: string };
  availability_zone_unknown: { zone: string };
  /** Neither an image nor a volume is named. */
  nothing_to_boot_from: NoFields;
  image_not_bootable: { id: string; disk_format: string | null };
  image_too_large_for_flavor: { disk_bytes: number; image_bytes: number };
  flavor_disk_below_minimum: { disk_bytes: number; minimum_bytes: number };
  flavor_memory_too_small: { memory_mib: number; minimum_mib: number };
  too_many_metadata_items: { maximum: number };
  too_many_server_tags: { maximum: number };
  security_group_not_of_server: { name: string; server: string };
  /** Of a list's filter: too long, or one whose search could take for ever. */
  pattern_refused: { pattern: string };
  pattern_malformed: NoFields;
}

/** Consoles. */
export interface ComputeReasons {
  /** Never said which: a token is a secret. */
  console_token_unknown: NoFields;
  console_token_refused: NoFields;
}

/** Flavors. */
export interface ComputeReasons {
  flavor_not_found: { id: string };
  flavor_id_taken: { id: string };
  flavor_name_taken: { name: string };
  /** All projects may use it: there is no list of those that may. */
  flavor_public: { id: string };
  flavor_access_exists: { flavor: string; project: string };
  flavor_access_missing: { flavor: string; project: string };
}

/** Server groups. */
export interface ComputeReasons {
  server_group_not_found: { id: string };
  /** Only anti-affinity knows a number of servers on one host. */
  server_group_without_rules: { policy: string };
}

/** Aggregates. */
export interface ComputeReasons {
  aggregate_not_found: { id: string };
  aggregate_name_taken: { name: string };
  aggregate_not_empty: { id: string };
  aggregate_host_exists: { aggregate: string; host: string };
  /** An image comes to a host with a server, or as one of the copies of each image; not by wish. */
  image_not_on_host: { image: string; host: string };
  aggregate_host_missing: { aggregate: string; host: string };
  aggregate_host_in_two_zones: { host: string };
  /** Their zone is where they run. */
  aggregate_host_has_servers: { host: string };
}

/** Hosts as administrators steer them. */
export interface ComputeReasons {
  /** It shall be empty until somebody ends that. */
  host_in_maintenance: { host: string };
}

/** Hosts that are to leave the cloud. */
export interface HostRemovalReasons {
  /** `names`: of some of them. */
  host_carries_servers: { host: string; names: string[] };
  /** Servers that it has, and of which the database knows nothing. */
  host_in_quarantine: { host: string };
  host_keeps_volumes: { host: string; names: string[] };
  /** Of this one it is the last to have the bytes. */
  host_keeps_image: { host: string; image: string };
  /** Bytes of objects, of which a copy may be elsewhere or not. */
  host_keeps_objects: { host: string };
  host_is_up: { host: string };
}

/** Room that is kept for the loss of a host; of no dialect but the native one. */
export interface ReserveReasons {
  /** For this server there would be none if its host were lost. */
  no_refuge: { id: string };
}

/** Key pairs. */
export interface ComputeReasons {
  key_pair_not_found: { name: string; user: string };
  key_pair_name_taken: { name: string };
  key_pair_marker_not_found: { marker: string };
  key_pair_user_gone: { user: string };
  key_pair_of_another_user: { verb: string };
  public_key_invalid: {
    why:
      | 'too_long'
      | 'several_lines'
      | 'unknown_type'
      | 'no_base64'
      | 'not_of_its_type'
      | 'certificate_too_long'
      | 'certificate_unreadable';
  };
}

/** Resource providers; of no dialect but Placement's. */
export interface ProviderReasons {
  /** It was changed since the caller looked. */
  provider_changed: { id: string };
  trait_not_found: { name: string };
  trait_in_use: { name: string };
  traits_unknown: { traits: string };
  /** What a host is by itself nobody says of it. */
  traits_are_facts: { traits: string };
}

declare module '../../contract/errors.ts' {
  interface Reasons extends ComputeReasons, ProviderReasons, HostRemovalReasons, ReserveReasons {}
}
