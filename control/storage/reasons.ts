/** What the storage area refuses (see contract/errors.ts). */

/** Layers and pools. */
export interface StorageReasons {
  /** Nobody needs it any more, or it was never there: what was to be made of it can't be. */
  layer_gone: { id: string };
  /** No pool takes a volume, or the pool of one takes no more; `why` and `fix` are words for whoever asked. */
  no_pool: { why: string; fix: string };
}

/** Volume types. */
export interface StorageReasons {
  volume_type_not_found: { id: string };
  volume_type_name_taken: { name: string };
  volume_type_is_default: { id: string };
  /** It cannot be deleted. */
  volume_type_in_use: { id: string };
  /** What they are made like cannot be changed. */
  volume_type_has_volumes: { id: string };
  /** Nobody needs to be let use it. */
  volume_type_public: { id: string };
  volume_type_access_of_public: { id: string };
  volume_type_access_exists: { id: string; project: string };
  volume_type_access_missing: { id: string; project: string };
  volume_type_encryption_exists: { id: string };
  volume_type_encryption_not_found: { id: string };
  /** Of an extra spec that is Bothy's own: there is none of this name, or it says what no pool is. */
  volume_type_word_unfit: { key: string; value: string; wanted: string };
  /** Of an extra spec about a cache: it is none, says what none can be, or is missing (then `value` is empty). */
  volume_type_cache_unfit: { key: string; value: string; wanted: string };
  /** No host does it so. */
  volume_type_encryption_unserved: {
    name: string;
    what: 'provider' | 'version' | 'control_location' | 'cipher' | 'key_size';
    value: string;
  };
  /** What it is made of is encrypted in another way, or not at all. */
  volume_encryption_differs: { type: string; of: 'volume' | 'snapshot' | 'backup' | 'image' };
  /** What can't be done with what is encrypted. */
  volume_encrypted: { id: string; call: 'upload' | 'transfer' | 'unmanage' };
  /** `id` is the project's. */
  default_volume_type_not_found: { id: string };
}

/** QoS specs. */
export interface StorageReasons {
  qos_specs_not_found: { id: string };
  qos_specs_name_taken: { name: string };
  qos_specs_in_use: { id: string };
  qos_specs_key_missing: { id: string; key: string };
  qos_spec_no_number: { key: string; value: string };
  volume_type_has_other_qos: { id: string; specs: string };
}

/** Groups and their snapshots. */
export interface StorageReasons {
  volume_group_not_found: { id: string };
  group_snapshot_not_found: { id: string };
  group_status_unfit: { id: string; status: string };
  group_reset_unserved: { id: string; status: string };
  group_empty: { id: string };
  /** Its snapshots have to be of one moment, and those of these volumes can't be. */
  group_without_one_moment: { id: string; volumes: readonly string[]; why: 'several' | 'cache' | 'cluster' };
  group_has_volumes: { id: string };
  group_has_snapshots: { id: string };
  /** The volume's type is none of the group's. */
  group_type_unmet: { id: string; volume: string | null };
  volume_in_other_group: { id: string; volume: string };
  volume_outside_group_zone: { id: string; volume: string; zone: string };
  volume_not_in_group: { id: string; volume: string };
}

/** Transfers. */
export interface StorageReasons {
  volume_transfer_not_found: { id: string };
  volume_transfer_key_wrong: { id: string };
}

/** Backups. */
export interface StorageReasons {
  backup_not_found: { id: string };
  /** `wanted`: any of them would do. */
  backup_status_unfit: { id: string; status: string; wanted: readonly string[] };
  /** The volume is in use. */
  backup_needs_force: { id: string };
  backup_snapshot_unfit: { id: string; status: string };
  /** The snapshot is of another volume. */
  backup_snapshot_of_other: { id: string; volume: string };
  /** There is none that the volume's next could be the difference to. */
  backup_parent_missing: { id: string };
  /** It lies with its volume's host, which is in `zone`. */
  backup_zone_unfit: { wanted: string; zone: string };
  backup_has_dependents: { id: string };
  backup_volume_too_small: { size_gib: number; minimum_gib: number };
  backup_reset_unserved: { id: string; status: string };
  backup_exists: { id: string };
  /** What was exported cannot be read: `field` is what is wrong with it. */
  backup_record_unreadable: { field: string };
  /** It is encrypted, and nobody has what opens it. */
  backup_key_missing: { id: string; key: string };
}

/** Messages, and pools as `host@pool`. */
export interface StorageReasons {
  storage_message_not_found: { id: string };
  storage_backend_not_found: { id: string };
}

/** Group types. */
export interface StorageReasons {
  group_type_not_found: { id: string };
  group_type_name_taken: { name: string };
  group_type_in_use: { id: string };
}

declare module '../../contract/errors.ts' {
  interface Reasons extends StorageReasons {}
}
