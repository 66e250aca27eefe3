/** A host with real object disks in a process of its own, which may be killed and begun again on what it left. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type HostId, newId } from '../../contract/ids.ts';
import type { TestAuthority, TestTls } from './certificates.ts';

export interface ObjectHostTold {
  directory: string;
  hostId: HostId;
  cloudId: string;
  tls: TestTls;
  disks: { name: string; path: string }[] | undefined;
}

export class ObjectHost {
  readonly #told: ObjectHostTold;
  #child: ChildProcess | undefined;
  url = '';

  private constructor(told: ObjectHostTold) {
    this.#told = told;
  }

  /** @param disks names; absent: the one that a host has by itself */
  static async start(directory: string, authority: TestAuthority, disks?: readonly string[]): Promise<ObjectHost> {
    const hostId = newId<HostId>();
    const placed = disks?.map((name) => ({ name, path: join(directory, `disk-${name}`) }));
    for (const { path } of placed ?? []) mkdirSync(path);
    const tls = await authority.issue(hostId);
    const host = new ObjectHost({ directory, hostId, cloudId: newId(), tls, disks: placed });
    await host.begin();
    return host;
  }

  get id(): HostId {
    return this.#told.hostId;
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  get socket(): string {
    return join(this.#told.directory, 'host.sock');
  }

  async begin(): Promise<void> {
    // The simulated switch's sockets, which a killed process leaves.
    rmSync(join(this.#told.directory, 'run'), { recursive: true, force: true });
    const execArgv = ['--disable-warning=ExperimentalWarning'];
    this.#child = fork(new URL('./object-host-process.ts', import.meta.url), { execArgv });
    this.#child.send(this.#told);
    const child = this.#child;
    const [told] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as [{ url: string } | number];
    if (typeof told !== 'object' || told === null) throw new Error(`the host process ended with ${told}`);
    this.url = told.url;
  }

  /** As by kill -9. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}
