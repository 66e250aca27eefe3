import type { Timestamp } from '../../kit/database/schema.ts';

export interface HostTokenTable {
  id: string;
  /** In hex, of the secret's bytes. */
  secret_sha256: string;
  /** The only name that the machine may have; null: any. */
  host_name: string | null;
  expires_at: Date;
  used_at: Date | null;
  /** Null also once that host has gone. */
  used_by: string | null;
  /** In hex, of the public key (SPKI) that was joined with it. */
  used_key_sha256: string | null;
  generation: number;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface HostTokenTables {
  host_token: HostTokenTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends HostTokenTables {}
}
