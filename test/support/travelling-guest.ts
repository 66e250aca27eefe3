/**
 * A guest that goes live between the machines of a cloud while it writes to its disk and talks: with a guest that stays, and by its floating IP with somebody
 * outside. What it wrote is told to the outside at the end, each line with its checksum.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cloudPaths } from '../../cli/cloud-paths.ts';
import { ensurePublicGuest } from './guest-image.ts';
import { GuestShell } from './guest-shell.ts';
import type { JoinedMachine, JoinedMachines } from './joined-machines.ts';
import { until } from './live-cloud.ts';
import type { OpenStack } from './openstack.ts';
import { administrator, Tenant } from './tenant.ts';

/** Behind outages in a row a sender that heard nothing asks again after twice as long each time, at most after two minutes (TCP_RTO_MAX). */
const tcpAsksMs = 130_000;

/** Of the guest: the peer's session, the one from outside, what nobody listens at, and what it wrote. */
const ports = { peer: 7777, outside: 7778, closed: 7779, written: 7780 };

export interface TravellingOptions {
  at?: JoinedMachine;
  peerAt?: JoinedMachine;
  apart?: boolean;
}

export class TravellingGuest implements AsyncDisposable {
  readonly #world: JoinedMachines;
  readonly admin: OpenStack;
  readonly tenant: Tenant;
  /** Hints of the group that keeps it and its peer apart; absent: there is none. */
  group: { group: string } | undefined;
  id = '';
  #floating = '';
  #outside: OutsideSession | undefined;
  /** Where it is by the last word of the cloud. */
  at!: JoinedMachine;

  private constructor(world: JoinedMachines, admin: OpenStack, tenant: Tenant) {
    this.#world = world;
    this.admin = admin;
    this.tenant = tenant;
  }

  /**
   * All machines have joined.
   * @param options.at where it begins: the first machine where nobody says otherwise @param options.peerAt where the guest stays that it talks with: the last one
   * @param options.apart the two are never on one machine, by a group of theirs ({@link group})
   */
  static async begin(world: JoinedMachines, options: TravellingOptions = {}): Promise<TravellingGuest> {
    const admin = await administrator(world.cloud);
    await ensurePublicGuest(world.cloud);
    const tenant = await Tenant.create(world.cloud, { cidr4: '10.67.0.0/24', cidr6: 'fd00:67::/64' });
    await tenant.allow({ protocol: 'icmp', ethertype: 'IPv4' });
    await tenant.allow({
      ...{ protocol: 'tcp', port_range_min: ports.peer, port_range_max: ports.written },
      ethertype: 'IPv4',
    });
    const made = new TravellingGuest(world, admin, tenant);
    const [first] = world.machines;
    first!.name = await made.#nameOfFirst();
    const { at = first!, peerAt = world.machines.at(-1)!, apart = false } = options;
    if (apart) await made.#makeGroup();
    const peer = await made.on(peerAt, 'peer', made.group);
    made.id = await made.on(at, 'traveller', made.group);
    made.at = at;
    const address = await made.#giveFloating();
    await made.#talk(address, await peerAt.shellOf(peer));
    return made;
  }

  async #nameOfFirst(): Promise<string> {
    const { hypervisors } = await this.admin.must('GET', 'compute', '/os-hypervisors');
    const others = new Set(this.#world.machines.slice(1).map(({ name }) => name));
    return hypervisors
      .map((each: { hypervisor_hostname: string }) => each.hypervisor_hostname)
      .find((name: string) => !others.has(name));
  }

  async #makeGroup(): Promise<void> {
    const wish = { name: 'apart', policies: ['anti-affinity'] };
    const { server_group } = await this.tenant.client.must('POST', 'compute', '/os-server-groups', {
      server_group: wish,
    });
    this.group = { group: server_group.id };
  }

  /** Another server, on this machine, and ACTIVE. @returns its id */
  async on(machine: JoinedMachine, name: string, hints: object = {}): Promise<string> {
    const others = this.#world.machines.filter((each) => each !== machine);
    const say = (verb: 'enable' | 'disable') =>
      Promise.all(
        others.map(({ name: host }) =>
          this.admin.must('PUT', 'compute', `/os-services/${verb}`, { host, binary: 'nova-compute' }),
        ),
      );
    await say('disable');
    const id = await this.tenant.create(name, {}, hints);
    await this.tenant.active(id, 300_000);
    await say('enable');
    return id;
  }

  async #giveFloating(): Promise<string> {
    const { client, externalId } = this.tenant;
    const { ports: own } = await client.must('GET', 'network', `/v2.0/ports?device_id=${this.id}`);
    const { floatingip } = await client.must('POST', 'network', '/v2.0/floatingips', {
      floatingip: { floating_network_id: externalId, port_id: own[0].id },
    });
    this.#floating = floatingip.floating_ip_address;
    return own[0].fixed_ips.find((each: { ip_address: string }) => !each.ip_address.includes(':')).ip_address;
  }

  async #talk(address: string, peer: GuestShell): Promise<void> {
    const shell = await GuestShell.open(this.serial());
    await shell.run(
      '(i=0; while [ ! -e /tmp/enough ]; do i=$((i+1)); echo "$i $(echo $i | md5sum)" >>/root/written; sync; echo $i >/tmp/at; sleep 0.1; done; touch /tmp/ended) </dev/null >/dev/null 2>&1 &',
    );
    await shell.run(`tail -f /dev/null | nc -l -p ${ports.peer} >/tmp/got 2>/dev/null &`);
    await shell.run(
      `(i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done) </dev/null 2>/dev/null | nc -l -p ${ports.outside} >/dev/null 2>&1 &`,
    );
    await until(
      'the peer to reach it',
      async () => /, 0% packet loss/.test(await peer.run(`ping -c 1 ${address}; true`)),
      120_000,
      500,
    );
    await peer.run(
      `(i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done) </dev/null 2>/dev/null | nc ${address} ${ports.peer} >/dev/null 2>&1 &`,
    );
    peer.close();
    await until('the session with the peer', async () => Number(await shell.run('wc -l </tmp/got')) > 3, 60_000, 500);
    shell.close();
    const [first] = this.#world.machines;
    const asking = first!.connecting(this.#floating, ports.closed);
    await until('its floating IP', async () => asking.answered.length > 5, 60_000).finally(() => asking.stop());
    this.#outside = new OutsideSession(first!, this.#floating);
    await until('the session from outside', async () => this.#outside!.lines > 3, 60_000);
  }

  serial(machine: JoinedMachine = this.at ?? this.#world.machines[0]!): string {
    return machine.hostFile('guests', this.id, 'serial.sock');
  }

  async act(body: object): Promise<void> {
    const headers = { 'openstack-api-version': 'compute 2.30' };
    const answer = await this.admin.call('POST', 'compute', `/servers/${this.id}/action`, body, headers);
    assert.ok(answer.status < 300, `${JSON.stringify(body)}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }

  begin = (to: JoinedMachine): Promise<void> =>
    this.act({ 'os-migrateLive': { host: to.name, block_migration: 'auto' } });

  /** The newest. */
  async migration(): Promise<{ id: number; status: string }> {
    const { migrations } = await this.admin.must('GET', 'compute', `/os-migrations?instance_uuid=${this.id}`);
    return migrations.toSorted((a: { id: number }, b: { id: number }) => b.id - a.id)[0];
  }

  /** What became of the newest migration, and what the machines' processes say of it at last, for whoever reads that a test failed. */
  async outcome(): Promise<string> {
    const said = this.#world.machines.flatMap(({ name, data }) => {
      const { log } = cloudPaths(data);
      const files = readdirSync(log).filter((file) => /^(host|control)/.test(file));
      return files.flatMap((file) => {
        const lines = readFileSync(join(log, file), 'utf8').split('\n');
        return [`${name} ${file}:`, ...lines.filter((line) => line.includes(this.id)).slice(-6)];
      });
    });
    return [JSON.stringify(await this.migration()), ...said].join('\n');
  }

  /** It is on one machine, on its way nowhere. @returns which */
  async settled(deadlineMs = 180_000): Promise<JoinedMachine> {
    const host = await until(
      'it to be settled',
      async () => {
        // Control may be dead just now.
        const found = await this.admin.must('GET', 'compute', `/servers/${this.id}`).catch(() => undefined);
        if (!found) return false;
        const { server } = found;
        if (server.status === 'ERROR') throw new Error(JSON.stringify(server.fault));
        return server.status === 'ACTIVE' && !server['OS-EXT-STS:task_state'] && server['OS-EXT-SRV-ATTR:host'];
      },
      deadlineMs,
      200,
    );
    this.at = this.#world.machines.find(({ name }) => name === host)!;
    return this.at;
  }

  /** @returns for how long nobody heard its floating IP, and how long it stood still, in ms */
  async migrate(to: JoinedMachine): Promise<{ silentMs: number; stoodMs: number }> {
    const from = this.at;
    const [first] = this.#world.machines;
    const asking = first!.connecting(this.#floating, ports.closed, 20);
    try {
      // A port at which nobody listens is answered by the guest's kernel, which costs it next to nothing.
      await until('its floating IP', async () => asking.answered.length > 5, 30_000);
      await this.begin(to);
      const at = await this.settled();
      if (at !== to) assert.fail(await this.outcome());
      const before = asking.answered.length;
      await until('its floating IP afterwards', async () => asking.answered.length > before + 20, 30_000);
      return { silentMs: asking.longestMs, stoodMs: this.#stood(from, to) };
    } finally {
      asking.stop();
    }
  }

  /** QEMU's own figure ends where the memory is sent; the target's record comes before the guest goes on. */
  #stood(from: JoinedMachine, to: JoinedMachine): number {
    const handed = this.#said(from, 'server: handed over');
    const taken = this.#said(to, 'server: taken over from another host');
    return Math.round(taken.at - handed.at + handed.downtimeMs);
  }

  #said(machine: JoinedMachine, message: string): { at: number; downtimeMs: number } {
    const { log } = cloudPaths(machine.data);
    const lines = readdirSync(log)
      .filter((name) => name.startsWith('host'))
      .flatMap((name) => readFileSync(join(log, name), 'utf8').split('\n'));
    const found = lines
      .filter((line) => line.includes(message) && line.includes(this.id))
      .map((line) => JSON.parse(line))
      .map(({ time, downtimeMs = 0 }) => ({ at: new Date(time).getTime(), downtimeMs }))
      .toSorted((a, b) => a.at - b.at);
    return found.at(-1) ?? { at: Number.NaN, downtimeMs: Number.NaN };
  }

  /** Its QEMU there. */
  processOn(machine: JoinedMachine): number | undefined {
    return machine
      .processes()
      .find(({ pid, program }) => /qemu-system/.test(program) && commandLine(pid).includes(this.id))?.pid;
  }

  /** Machines on which a process of it is. */
  copies(): JoinedMachine[] {
    return this.#world.machines.filter((machine) => this.processOn(machine) !== undefined);
  }

  /** One copy runs, both sessions went on, and nothing that it wrote is missing, twice or other than it was written. @returns lines written */
  async assertWhole(): Promise<number> {
    await until('no copy of it but one', async () => this.copies().length === 1, 60_000, 200);
    assert.deepEqual(this.copies(), [this.at]);
    const shell = await GuestShell.again(this.serial());
    const got = async () => Number(await shell.run('wc -l </tmp/got'));
    const [lines, heard] = [this.#outside!.lines, await got()];
    await until('the session with the peer to go on', async () => (await got()) > heard + 3, tcpAsksMs, 500);
    await until('the session from outside to go on', async () => this.#outside!.lines > lines + 3, tcpAsksMs);
    assert.equal(await shell.run('awk "NR!=\\$1{bad=1}END{print bad?\\"torn\\":\\"whole\\"}" /tmp/got'), 'whole');
    assert.equal(this.#outside!.torn, undefined);
    const told = Number(await shell.run('cat /tmp/at'));
    await shell.run('sync; echo 3 >/proc/sys/vm/drop_caches');
    await shell.run(`cp /root/written /tmp/copy; nc -l -p ${ports.written} </tmp/copy >/dev/null 2>&1 &`);
    const written = await this.#fetch();
    shell.close();
    assert.ok(written.length >= told, `${written.length} lines of ${told}`);
    for (const [at, line] of written.entries()) {
      const sum = createHash('md5')
        .update(`${at + 1}\n`)
        .digest('hex');
      assert.equal(line, `${at + 1} ${sum}  -`);
    }
    return written.length;
  }

  async #fetch(): Promise<string[]> {
    const [first] = this.#world.machines;
    const code = `const socket = require('node:net').connect(${ports.written}, '${this.#floating}'); socket.pipe(process.stdout); socket.on('error', (e) => { console.error(e); process.exit(1); });`;
    const text = await first!.must(process.execPath, '-e', code);
    return text.split('\n').filter((line) => line !== '');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#outside?.stop();
    this.tenant.abandon();
    this.admin.close();
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** One connection, by which the guest says one number after another. */
class OutsideSession {
  readonly #child: ChildProcess;
  #rest = '';
  lines = 0;
  /** What came out of turn, or that it ended. */
  torn: string | undefined;

  constructor(from: JoinedMachine, address: string) {
    const code = `const socket = require('node:net').connect(${ports.outside}, '${address}'); socket.pipe(process.stdout); socket.on('error', (e) => console.log('broken', e.code)); socket.on('close', () => console.log('closed'));`;
    this.#child = spawn('nsenter', [`--net=/run/netns/${from.namespace}`, process.execPath, '-e', code], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#child.stdout!.on('data', (text) => {
      const lines = `${this.#rest}${text}`.split('\n');
      this.#rest = lines.pop()!;
      for (const line of lines) {
        if (line !== String(this.lines + 1)) this.torn ??= `${line} after ${this.lines}`;
        this.lines++;
      }
    });
  }

  stop(): void {
    this.#child.kill();
  }
}
