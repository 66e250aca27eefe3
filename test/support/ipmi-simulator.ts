/**
 * A service processor that speaks IPMI 2.0: OpenIPMI's own simulator (Debian's `openipmi`), whose machine is a file. What it was asked to do with it is kept in order.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.ts';

/** Why tests with it can't run here; undefined: they can. */
export const noIpmi: string | undefined = ['ipmi_sim', 'ipmitool'].every((name) => existsSync(`/usr/bin/${name}`))
  ? undefined
  : 'needs ipmi_sim and ipmitool (Debian: openipmi, ipmitool)';

export interface IpmiSimulatorOptions {
  user: string;
  /** The simulator takes short ones without spaces. */
  password: string;
  /** Of the user: what it may at most. */
  right?: 'user' | 'operator' | 'admin';
  /** Sixteen bytes in hexadecimal digits, in the order in which they are told. */
  guid: string;
  /** False: its machine has no inventory. */
  named?: boolean;
}

export class IpmiSimulator implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'bothy-ipmi-'));
  #child: ChildProcess | undefined;
  port = 0;

  static async start(options: IpmiSimulatorOptions): Promise<IpmiSimulator> {
    const made = new IpmiSimulator();
    try {
      await made.#begin(options);
      return made;
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What the machine is asked for, in order: `power 0`, `power 1`, `shutdown 1`. */
  get asked(): string[] {
    const file = join(this.#directory, 'asked');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  }

  get power(): boolean {
    return readFileSync(join(this.#directory, 'power'), 'utf8').trim() === '1';
  }

  /** As somebody at its button. */
  set power(on: boolean) {
    writeFileSync(join(this.#directory, 'power'), on ? '1' : '0');
  }

  get url(): string {
    return `ipmi://127.0.0.1:${this.port}`;
  }

  async #begin({ user, password, right = 'operator', guid, named = true }: IpmiSimulatorOptions): Promise<void> {
    const file = (name: string) => join(this.#directory, name);
    this.power = true;
    const machine = `#!/bin/sh
case "$1 $2" in
"get power") echo "power:$(cat ${file('power')})" ;;
"set power") echo "power $3" >>${file('asked')}; echo $3 >${file('power')} ;;
set*) echo "$2 $3" >>${file('asked')} ;;
esac
`;
    writeFileSync(file('machine'), machine, { mode: 0o755 });
    this.port = await freeUdpPort();
    const all = 'none md2 md5 straight';
    const configuration = `name "bothy"
set_working_mc 0x20
startlan 1
addr 127.0.0.1 ${this.port}
priv_limit admin
allowed_auths_user ${all}
allowed_auths_operator ${all}
allowed_auths_admin ${all}
guid ${guid}
endlan
chassis_control "${file('machine')}"
user 2 true "${user}" "${password}" ${right} 10 ${all}
`;
    writeFileSync(file('lan.conf'), configuration);
    const commands = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
${named ? `mc_add_fru_data 0x20 0 256 data ${names(['Contoso', '3500', '', '', '437XR1138R2', '', ''])}` : ''}
`;
    writeFileSync(file('commands'), commands);
    mkdirSync(file('state'));
    const args = ['-c', file('lan.conf'), '-f', file('commands'), '-s', file('state'), '-n'];
    this.#child = spawn('ipmi_sim', args, { stdio: ['pipe', 'ignore', 'pipe'] });
    let said = '';
    this.#child.stderr!.on('data', (text) => {
      said = `${said}${text}`.slice(-1000);
    });
    const listens = new RegExp(`:${this.port.toString(16).toUpperCase().padStart(4, '0')} `);
    await until('the simulator to listen', () => {
      if (this.#child!.exitCode !== null) throw new Error(`the simulator has ended: ${said}`);
      return listens.test(readFileSync('/proc/net/udp', 'utf8'));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    if (child && child.exitCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** An inventory (IPMI FRU, 1.0) with a product area, as the simulator takes it. */
function names(fields: readonly string[]): string {
  const sum = (bytes: readonly number[]) => (256 - (bytes.reduce((all, byte) => all + byte, 0) % 256)) % 256;
  const texts = fields.flatMap((text) => [0xc0 | text.length, ...Buffer.from(text, 'latin1')]);
  const length = Math.ceil((3 + texts.length + 2) / 8);
  const area = [1, length, 25, ...texts, 0xc1];
  while (area.length < 8 * length - 1) area.push(0);
  const header = [1, 0, 0, 0, 1, 0, 0];
  return [...header, sum(header), ...area, sum(area)].map((byte) => `0x${byte.toString(16)}`).join(' ');
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}
