/**
 * PostgreSQL with a streaming standby: two real clusters on ports of 127.0.0.1, the first of which is the primary until the second is promoted.
 * Their processes are frozen and killed by signals; what the standby is sent goes over a wire that can be cut.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../cli/cloud/free-port.ts';
import { binaries } from '../../cli/cloud/postgres.ts';
import { childrenByParent, withDescendants } from '../../cli/supervisor/process-table.ts';
import { until } from './until.ts';
import { Wire } from './wire.ts';

const root = process.getuid!() === 0;
const user = root ? 'postgres' : userInfo().username;

type Name = 'one' | 'two';

export class ReplicatedPostgres implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'bothy-replicated-'));
  readonly #ports = {} as Record<Name, number>;
  readonly #address: string;
  #wire: Wire | undefined;

  private constructor(address: string) {
    this.#address = address;
    if (root) chownSync(this.#directory, Number(execFileSync('id', ['-u', user])), -1);
  }

  /** @param options synchronous: a commit is answered when the standby has it; address: where clients of other machines reach it, too */
  static async start(options: { synchronous: boolean; address?: string }): Promise<ReplicatedPostgres> {
    const made = new ReplicatedPostgres(options.address ?? '127.0.0.1');
    try {
      await made.#start(options);
      return made;
    } catch (error) {
      made[Symbol.dispose]();
      throw error;
    }
  }

  async #start({ synchronous }: { synchronous: boolean }): Promise<void> {
    for (const name of ['one', 'two'] as const) this.#ports[name] = await freePort();
    await this.#run('initdb', '-D', this.#data('one'), '-U', user, '-A', 'trust', '-N');
    appendFileSync(join(this.#data('one'), 'pg_hba.conf'), `host all all ${this.#address}/24 trust\n`);
    await this.startMember('one');
    const { wire, port } = await Wire.openPort({ host: '127.0.0.1', port: this.#ports.one });
    this.#wire = wire;
    const source = ['-h', '127.0.0.1', '-p', String(port), '-U', user];
    await this.#run('pg_basebackup', '-N', '-D', this.#data('two'), ...source, '-R', '-c', 'fast');
    await this.startMember('two');
    await this.#query('one', async (client) => {
      if (synchronous) {
        await client.query(`alter system set synchronous_standby_names = 'two'`);
        await client.query('select pg_reload_conf()');
      }
      const state = synchronous ? 'sync' : 'async';
      const standbys = () => client.query('select from pg_stat_replication where sync_state = $1', [state]);
      await until('the standby to stream', async () => (await standbys()).rowCount === 1);
    });
  }

  /** Of both, as libpq names them. */
  get url(): string {
    const members = (['one', 'two'] as const).map((name) => `${this.#address}:${this.#ports[name]}`).join();
    return `postgres://${user}@${members}/postgres?target_session_attrs=read-write`;
  }

  urlOf(name: Name): string {
    return `postgres://${user}@127.0.0.1:${this.#ports[name]}/postgres`;
  }

  startMember(name: Name): Promise<void> {
    const settings = [
      'fsync=off',
      'max_connections=200',
      `cluster_name=${name}`,
      `listen_addresses=127.0.0.1,${this.#address}`,
      'jit=off',
    ];
    const options = [
      `-p ${this.#ports[name]} -k ${this.#directory}`,
      ...settings.map((setting) => `-c ${setting}`),
    ].join(' ');
    return this.#run('pg_ctl', '-D', this.#data(name), '-w', '-l', `${this.#data(name)}.log`, '-o', options, 'start');
  }

  promote(): Promise<void> {
    return this.#run('pg_ctl', '-D', this.#data('two'), '-w', 'promote');
  }

  /** All processes of a member at once; they are as dead as by a lost power supply. */
  kill(name: Name): void {
    this.#signal(this.#processes(name), 'SIGKILL');
  }

  freeze(name: Name): void {
    this.#signal(this.#processes(name), 'SIGSTOP');
  }

  thaw(name: Name): void {
    this.#signal(this.#processes(name), 'SIGCONT');
  }

  /** From now on nothing reaches the standby, and nobody notices for a while. */
  cutOff(): void {
    this.#wire!.silent = true;
  }

  [Symbol.dispose](): void {
    for (const name of ['one', 'two'] as const) {
      const processes = this.#processes(name);
      this.#signal(processes, 'SIGKILL');
    }
    this.#wire?.cut();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #query(name: Name, work: (client: pg.Client) => Promise<void>): Promise<void> {
    const client = new pg.Client({ connectionString: this.urlOf(name) });
    await client.connect();
    try {
      await work(client);
    } finally {
      await client.end();
    }
  }

  #data = (name: Name) => join(this.#directory, name);

  #processes(name: Name): number[] {
    let pid: number;
    try {
      pid = Number(readFileSync(join(this.#data(name), 'postmaster.pid'), 'utf8').split('\n')[0]);
    } catch {
      return [];
    }
    return withDescendants(pid, childrenByParent());
  }

  #signal(pids: readonly number[], signal: NodeJS.Signals): void {
    for (const pid of pids) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended by itself.
      }
    }
  }

  async #run(program: string, ...args: string[]): Promise<void> {
    const command = [join(binaries(), program), ...args];
    const [file, ...rest] = root ? ['runuser', '-u', user, '--', ...command] : command;
    const child = spawn(file!, rest, { cwd: '/', stdio: 'ignore' });
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`${program} ended with ${code}`);
  }
}
