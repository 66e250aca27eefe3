/** A replica that is promoted with nothing lost goes on with the incarnation of its primary. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from 'kysely';
import { binaries } from '../../cli/cloud/postgres.ts';
import { newId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import { Database } from '../../control/kit/database/database.ts';
import { settleIncarnation } from '../../control/kit/database/incarnation.ts';
import { migrate } from '../../control/kit/database/migrate.ts';

const root = process.getuid!() === 0;

test('a promoted replica keeps the incarnation', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-failover-'));
  if (root) chownSync(directory, Number(execFileSync('id', ['-u', 'postgres'])), -1);
  const pg = (program: string, ...args: string[]) => {
    const command = [join(binaries(), program), ...args];
    const [file, ...rest] = root ? ['runuser', '-u', 'postgres', '--', ...command] : command;
    execFileSync(file!, rest, { cwd: '/', stdio: 'ignore' });
  };
  const data = (name: string) => join(directory, name);
  const url = (port: number) =>
    new Secret(`postgres://postgres@localhost:${port}/postgres?host=${encodeURIComponent(directory)}`);
  const start = (name: string, port: number) =>
    pg(
      'pg_ctl',
      '-D',
      data(name),
      '-w',
      '-l',
      `${data(name)}.log`,
      '-o',
      `-k ${directory} -p ${port} -c listen_addresses= -c fsync=off`,
      'start',
    );
  const stop = (name: string) => pg('pg_ctl', '-D', data(name), '-m', 'fast', '-w', 'stop');
  try {
    pg('initdb', '-D', data('one'), '-U', 'postgres', '-A', 'trust', '-N');
    start('one', 5432);
    await migrate({ url: url(5432) });
    const primary = new Database({ url: url(5432) });
    await sql`insert into cloud (id, region) values (${newId()}, 'here')`.execute(primary.query);
    const { id } = await settleIncarnation(primary);
    pg('pg_basebackup', '-N', '-D', data('two'), '-h', directory, '-p', '5432', '-U', 'postgres', '-R', '-c', 'fast');
    await primary.close();
    start('two', 5433);
    // In order: what the primary had written the replica has.
    stop('one');
    pg('pg_ctl', '-D', data('two'), '-w', 'promote');
    const promoted = new Database({ url: url(5433) });
    const found = await settleIncarnation(promoted);
    await promoted.close();
    assert.deepEqual([found.begun, found.id], [false, id]);
  } finally {
    for (const name of ['one', 'two']) {
      try {
        stop(name);
      } catch {}
    }
    rmSync(directory, { recursive: true, force: true });
  }
});
