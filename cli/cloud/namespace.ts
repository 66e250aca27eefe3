/**
 * The network namespace that a cloud lives in. One namespace carries one cloud: Open vSwitch's userspace datapath has one
 * device of a fixed name (ovs-netdev), and two clouds would fight for ports and the external network's address besides.
 * A cloud's bridges, taps and nft tables are in the namespace it was started in, so only from there can it be stopped or
 * removed without leaving something. Looks only; changes nothing.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readText } from '../../control/kit/files.ts';
import { findEngine } from '../../engine/process.ts';
import { identifyProcess } from '../../engine/process-identity.ts';
import { CommandError } from '../command.ts';
import type { HostConfiguration } from '../process/configuration.ts';
import type { Settings } from '../settings.ts';
import { cloudEngines } from './engines.ts';
import { cloudLayout } from './layout.ts';

const datapathDevice = 'ovs-netdev';

/** Such as net:[4026531840]; undefined where the process is gone or may not be looked at. */
export function namespaceOf(pid: number | 'self'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

/** Refuses to work on a cloud from outside its namespace, unless that is gone with all that was in it. */
export function requireCloudNamespace({ paths }: Settings): void {
  const noted = readText(cloudLayout(paths).namespaceFile)?.trim();
  if (noted === undefined || noted === namespaceOf('self')) return;
  const door = doorTo(noted);
  if (door === undefined) return;
  throw new CommandError(
    `the cloud in ${paths.data} lives in another network namespace, ${door}`,
    `enter it: nsenter --net=${door} ${commandLine()}`,
  );
}

/** The first other cloud, or other Open vSwitch with a userspace datapath, in this network namespace, in words. */
function occupant(settings: Settings): string | undefined {
  const mine = cloudEngines(settings).find((engine) => engine.name === 'ovs-vswitchd');
  const myPid = mine === undefined ? undefined : findEngine(mine);
  const here = namespaceOf('self');
  let stranger: string | undefined;
  for (const pid of processIds()) {
    const words = commandOf(pid);
    const other = words.includes('supervise') ? words[words.indexOf('--data') + 1] : undefined;
    const vswitchd = basename(words[0] ?? '') === 'ovs-vswitchd';
    // A local user's process may be called anything, and must not keep a cloud from starting.
    if (
      (other === undefined && !vswitchd) ||
      identifyProcess(pid)?.uid !== 0 ||
      pid === myPid ||
      namespaceOf(pid) !== here
    )
      continue;
    if (other !== undefined && other !== settings.paths.data) return `the cloud in ${other} (supervisor pid ${pid})`;
    if (vswitchd) stranger = cloudOf(words, pid) ?? stranger ?? `ovs-vswitchd (pid ${pid})`;
  }
  if (stranger?.startsWith('the cloud')) return stranger;
  // A device that nobody holds was left by an ovs-vswitchd that ended; the next one takes it over.
  return myPid === undefined && deviceExists(datapathDevice) ? stranger : undefined;
}

export function requireAlone(settings: Settings): void {
  const who = occupant(settings);
  if (who === undefined) return;
  const name = `bothy-${settings.paths.tag}`;
  throw new CommandError(
    `this network namespace is taken by ${who}: Open vSwitch's datapath, the ports and the external network allow one cloud in a namespace`,
    [
      'stop that one, or give this cloud a network namespace of its own:',
      `ip netns add ${name} && ip -n ${name} link set lo up`,
      `nsenter --net=/run/netns/${name} ${commandLine()}`,
      `and use the same nsenter before each later command, and before openstack and ssh`,
    ].join('\n    '),
  );
}

/** This command again, as the user may type it. */
function commandLine(): string {
  return ['./bothy', ...process.argv.slice(2)]
    .map((word) => (/^[\w./=:@,-]+$/.test(word) ? word : `'${word}'`))
    .join(' ');
}

/** A file through which the namespace can be entered: its name, or a process in it. */
function doorTo(namespace: string): string | undefined {
  const inode = Number(/\d+/.exec(namespace)?.[0]);
  const named = entries('/run/netns').map((name) => join('/run/netns', name));
  const pids = processIds();
  return (
    named.find((file) => inodeOf(file) === inode) ??
    pids.filter((pid) => namespaceOf(pid) === namespace).map((pid) => `/proc/${pid}/ns/net`)[0]
  );
}

/** An ovs-vswitchd of Bothy is called with the socket in its cloud's run directory, which tells whose it is. */
function cloudOf(words: readonly string[], pid: number): string | undefined {
  const run = words.map((word) => /^unix:(\/run\/bothy\/[^/]+)\/ovs\/db\.sock$/.exec(word)?.[1]).find(Boolean);
  const text = run === undefined ? undefined : readText(join(run, 'host/configuration.json'));
  if (text === undefined) return undefined;
  const { dataDirectory } = JSON.parse(text) as HostConfiguration;
  return `the cloud in ${join(dataDirectory, '..')} (ovs-vswitchd pid ${pid})`;
}

const processIds = () =>
  entries('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

function commandOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** Asks this namespace's own list: /sys may be mounted from another. */
const deviceExists = (name: string) => new RegExp(`^\\s*${name}:`, 'm').test(readText('/proc/self/net/dev') ?? '');

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function inodeOf(file: string): number | undefined {
  try {
    return statSync(file).ino;
  } catch {
    return undefined;
  }
}
