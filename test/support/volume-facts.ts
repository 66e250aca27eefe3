/** What a cloud's database, pools and processes say of its volumes, for the words of a test that fails. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cloudPaths } from '../../cli/settings.ts';
import type { VolumeCloud } from './volume-cloud.ts';

const queries = {
  volumes: 'select * from volume',
  layers: 'select * from volume_layer',
  attachments: 'select * from volume_attachment',
  operations: `select * from operation where state = 'running'`,
  jobs: 'select key, attempts, last_error, run_at, locked_at from graphile_worker._private_jobs',
};
const linesOfLogs = 100;

export async function volumeFacts(cloud: VolumeCloud): Promise<object> {
  const asked = Object.entries(queries).map(async ([name, query]) => [name, await cloud.rows(query)]);
  const log = ['host', 'control'].flatMap((name) => {
    const lines = readFileSync(join(cloudPaths(cloud.data).log, `${name}.log`), 'utf8').split('\n');
    return lines.slice(-linesOfLogs);
  });
  return { now: new Date(), files: cloud.files(), log, ...Object.fromEntries(await Promise.all(asked)) };
}
