/** One real guest, told what to do by the unmodified openstack client and asked by SSH what became of it. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type LiveCloud, type Output, run, until } from './live-cloud.ts';
import type { Guest, Tenant } from './tenant.ts';

export class GuestByClient {
  readonly guest: Guest;
  readonly #cloud: LiveCloud;
  readonly #tenant: Tenant;
  /** Whom the client acts as. */
  readonly #as: Readonly<Record<string, string>>;

  constructor(cloud: LiveCloud, tenant: Tenant, guest: Guest, as = tenant.environment) {
    this.guest = guest;
    this.#cloud = cloud;
    this.#tenant = tenant;
    this.#as = as;
  }

  openstack(...args: string[]): Promise<Output> {
    const env = { PATH: process.env.PATH!, HOME: '/nonexistent', LANG: 'C.UTF-8', ...this.#as };
    return run('openstack', args, { env });
  }

  /** Answers what the client printed; fails the test where the client fails. */
  async tell(...args: string[]): Promise<string> {
    const result = await this.openstack(...args);
    assert.equal(result.status, 0, `openstack ${args.join(' ')}\n${result.stdout}${result.stderr}`);
    return result.stdout;
  }

  async becomes(status: string): Promise<void> {
    await until(
      `the server to be ${status}`,
      async () => {
        const { server } = await this.#tenant.client.must('GET', 'compute', `/servers/${this.guest.id}`);
        return server.status === status && server['OS-EXT-STS:task_state'] === null;
      },
      120_000,
      200,
    );
  }

  async inside(command: string): Promise<string> {
    const result = await this.#tenant.ssh(this.guest, command);
    assert.equal(result.status, 0, `${command}\n${result.stdout}${result.stderr}`);
    return result.stdout.trim();
  }

  async reachable(deadlineMs?: number): Promise<boolean> {
    return (await this.#tenant.ssh(this.guest, 'true', deadlineMs)).status === 0;
  }

  async answers(): Promise<void> {
    await until('the guest to answer', () => this.reachable(), 150_000, 300);
  }

  bootId(): Promise<string> {
    return this.inside('cat /proc/sys/kernel/random/boot_id');
  }

  /** What its host keeps of it. */
  get files(): string {
    return join(this.#cloud.data, 'host/servers', this.guest.id);
  }

  /** Process ids. */
  get qemus(): string[] {
    return readdirSync('/proc').filter((pid) => {
      try {
        return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`guest=${this.guest.id}`);
      } catch {
        return false;
      }
    });
  }
}
