/** The attachment's table as Kysely sees it; the columns' meaning stands in migrations 0305, 0350 and 1096. */
import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';

export interface VolumeAttachmentTable {
  id: string;
  project_id: string;
  volume_id: string;
  server_id: string | null;
  mode: Generated<'rw' | 'ro'>;
  slot: number | null;
  device: string | null;
  boot_index: number | null;
  tag: string | null;
  delete_on_termination: Generated<boolean>;
  connector: Json<Record<string, unknown>> | null;
  completed_at: Timestamp | null;
  desired_presence: Generated<'present' | 'absent'>;
  generation: Generated<number>;
  observed_state: 'attached' | 'releasing' | null;
  observed_layer_id: string | null;
  observed_size_bytes: number | null;
  /** Since migration 0550: its guest stands still until there is room for what it writes to it. */
  observed_full: Generated<boolean>;
  /** Since migration 1096: what its host says of the volume's second copy, and of which. */
  observed_copy_id: string | null;
  observed_copy: Json<{ state: 'copying' | 'ready' | 'lost'; error: { code: string; message: string } | null }> | null;
  attached_at: Timestamp | null;
  /** Of its server, since which it is as it is. */
  server_generation: Generated<number>;
  named_server_id: string | null;
  /** Since migration 1030: the host that the volume has to be on before its server can have it; null: it is there. */
  target_host_id: string | null;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface AttachmentTables {
  volume_attachment: VolumeAttachmentTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends AttachmentTables {}
}
