/**
 * Files that a guest is given at its making or its rebuild (Nova's personality). Owns table `server_personality`; quota is
 * of each file and of their number, so nothing is counted across servers.
 */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Tx } from '../../kit/database/database.ts';
import { quotaLimits } from '../../kit/quota/limits.ts';

export interface InjectedFile {
  path: string;
  /** Base64. */
  contents: string;
}

/** Lengths are in bytes, of contents as they will be in the guest. @throws CloudError `quota_exceeded` */
export async function checkPersonality(tx: Tx, projectId: string, files: readonly InjectedFile[]): Promise<void> {
  if (files.length === 0) return;
  const limits = await quotaLimits(tx, projectId);
  const longest = (lengths: number[]) => Math.max(...lengths);
  const wanted = {
    injected_files: files.length,
    injected_file_path_bytes: longest(files.map(({ path }) => Buffer.byteLength(path))),
    injected_file_content_bytes: longest(files.map(({ contents }) => Buffer.byteLength(contents, 'base64'))),
  };
  for (const [resource, amount] of Object.entries(wanted)) {
    const limit = limits[resource] ?? -1;
    if (limit < 0 || amount <= limit) continue;
    throw new CloudError('quota_exceeded', 'quota_exceeded', { resource, limit, used: 0, wanted: amount });
  }
}

/** Part of the statement that makes servers: `made` has their ids. */
export const keepPersonality = (files: readonly InjectedFile[]): RawBuilder<unknown> => sql`
  insert into server_personality (server_id, files)
  select id, ${JSON.stringify(files)}::jsonb from made where ${files.length > 0}`;

/** What was given before goes: a rebuild makes a new disk, and Nova puts only the files of its own request on it. */
export async function replacePersonality(tx: Tx, serverId: string, files: readonly InjectedFile[]): Promise<void> {
  await (files.length === 0
    ? sql`delete from server_personality where server_id = ${serverId}`
    : sql`insert into server_personality (server_id, files) values (${serverId}, ${JSON.stringify(files)}::jsonb)
        on conflict (server_id) do update set files = excluded.files`
  ).execute(tx);
}
