/** The key pair's table as Kysely sees it. */
import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface KeyPairTable {
  id: string;
  user_id: string;
  name: string;
  type: Generated<'ssh' | 'x509'>;
  public_key: string;
  fingerprint: string;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface KeyPairTables {
  key_pair: KeyPairTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends KeyPairTables {}
}
