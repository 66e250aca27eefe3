/** The console token's table as Kysely sees it. */
import type { ConsoleKind } from '../../../contract/host/index.ts';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface ConsoleTokenTable {
  /** SHA-256 of the token. */
  digest: Buffer;
  server_id: string;
  kind: ConsoleKind;
  created_at: Timestamp;
  expires_at: Timestamp;
}

interface ConsoleTables {
  console_token: ConsoleTokenTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends ConsoleTables {}
}
