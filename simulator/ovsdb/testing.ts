/** For tests: the same database behind the fake server and, where it is installed, behind the real ovsdb-server. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RawSchema } from '../../protocols/ovsdb/schema.ts';
import { Session } from '../../protocols/ovsdb/session.ts';
import { patienceMs } from '../../test/support/until.ts';
import { FakeDatabase } from './database.ts';
import { FakeOvsdbServer } from './server.ts';

export interface Served {
  target: string;
  /** Cuts all connections. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export const realServer = ['/usr/sbin/ovsdb-server', '/usr/bin/ovsdb-server'].find((path) => existsSync(path));

export async function serveFake(raw: RawSchema): Promise<Served> {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-ovsdb-'));
  const server = new FakeOvsdbServer([new FakeDatabase(raw)]);
  const target = await server.listen({ path: join(directory, 'db.sock') });
  return {
    target,
    restart: async () => server.dropConnections(),
    close: async () => {
      await server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export async function serveReal(raw: RawSchema): Promise<Served> {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-ovsdb-'));
  const path = (name: string) => join(directory, name);
  writeFileSync(path('schema.json'), JSON.stringify(raw));
  execFileSync('ovsdb-tool', ['create', path('db'), path('schema.json')]);
  const target = `unix:${path('db.sock')}`;
  let child = await startReal(path, target);
  const stop = () =>
    new Promise<void>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve();
      child.once('exit', () => resolve());
      child.kill();
    });
  return {
    target,
    restart: async () => {
      await stop();
      child = await startReal(path, target);
    },
    close: async () => {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function startReal(path: (name: string) => string, target: string): Promise<ChildProcess> {
  const child = spawn(
    realServer!,
    [path('db'), `--remote=p${target}`, `--unixctl=${path('ctl')}`, '-vconsole:off', '--no-chdir'],
    { stdio: 'ignore', env: { ...process.env, OVS_RUNDIR: path('.'), OVS_LOGDIR: path('.') } },
  );
  const deadline = Date.now() + patienceMs;
  for (;;) {
    try {
      (await Session.open({ target, probeMs: 0 })).close();
      return child;
    } catch (error) {
      if (Date.now() > deadline || child.exitCode !== null) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
