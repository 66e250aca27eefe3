/**
 * Who a cloud is: ids made once, kept in `<data>/cloud.json`. The file is also the data directory's marker: a first start makes it before
 * anything else, and only a directory that has it, or nothing but what people may put there for a first start, is ever purged. Where it
 * was lost under a cloud that runs, the run directory of that very path stands for it, and then only what a cloud makes may lie there.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { newId, newOrderedId } from '../../contract/ids.ts';
import { readText, writeWhole } from '../../control/kit/files.ts';
import { CommandError } from '../command.ts';
import type { CloudPaths } from '../settings.ts';

export interface CloudIdentity {
  cloudId: string;
  hostId: string;
  createdAt: string;
  /** The machine is a host of a cloud whose control is elsewhere; absent: control is here. */
  joined?: JoinedCloud;
}

/** What a machine that has joined knows of its cloud. */
export interface JoinedCloud {
  /** Of control, e.g. https://192.0.2.7:8443. */
  controlUrl: string;
  /** OVSDB target of the southbound database, e.g. ssl:192.0.2.7:6642. */
  southbound: string;
  /** This machine's name in the cloud, and the address that others reach it by. */
  hostName: string;
  address: string;
}

export function readIdentity(paths: CloudPaths): CloudIdentity | undefined {
  const text = readText(paths.identityFile);
  if (text === undefined) return undefined;
  try {
    const { cloudId, hostId, createdAt, joined } = JSON.parse(text) as CloudIdentity;
    if (typeof cloudId === 'string' && typeof hostId === 'string')
      return { cloudId, hostId, createdAt, ...(joined && { joined }) };
  } catch {
    // Said below.
  }
  throw new CommandError(
    `${paths.identityFile} is damaged`,
    'restore it from a backup: it holds the ids of the cloud and of this host',
  );
}

/** Of a machine that is about to join: its key, until the cloud has answered. */
export const joiningKey = 'joining.key';

/** The settings, written by people; the mark itself, cut off; and what a join had made. */
const beforeMark: ReadonlySet<string> = new Set(['bothy.conf', 'cloud.json.new', joiningKey, `${joiningKey}.new`]);
const madeByCloud: ReadonlySet<string> = new Set([
  ...[
    'aws.conf',
    'ca.pem',
    'cache',
    'certificates',
    'clouds.yaml',
    'host',
    'log',
    'openrc',
    'ovn',
    'postgres',
    'secrets',
  ],
]);

/** Whether the directory is a cloud's, or may become one's: nothing of others is in it. @throws CommandError where its mark is damaged */
export function isCloudDirectory(paths: CloudPaths): boolean {
  if (readIdentity(paths) !== undefined) return true;
  const ran = existsSync(paths.run);
  return namesIn(paths.data).every((name) => beforeMark.has(name) || (ran && madeByCloud.has(name)));
}

const namesIn = (directory: string): string[] =>
  existsSync(directory) ? readdirSync(directory).filter((name) => name !== ofFileSystem) : [];

/** At the top of an ext4, which may well be mounted for a cloud alone: nobody has put it there, and it is left. */
export const ofFileSystem = 'lost+found';

/** For what only the machine of control can do. @throws CommandError on one that has joined */
export function requireControlHere(paths: CloudPaths): void {
  const { joined } = readIdentity(paths) ?? {};
  if (!joined) return;
  throw new CommandError(
    `this machine is a host of the cloud at ${joined.controlUrl}: control is not here`,
    'run the command on the machine of control, or name another cloud with --data',
  );
}

/** @throws CommandError where the directory is neither a cloud's nor empty (or not there) */
export function requireUsable(paths: CloudPaths): void {
  if (readIdentity(paths) !== undefined) return;
  const foreign = namesIn(paths.data).filter((name) => !beforeMark.has(name));
  if (foreign.length > 0) {
    throw new CommandError(
      `${paths.data} is not empty and is no data directory of Bothy (it has ${foreign.slice(0, 3).join(', ')})`,
      'name a new or empty directory with --data',
    );
  }
}

/** Reads the identity, or makes it where the directory is empty (or not there). */
export function ensureIdentity(paths: CloudPaths): CloudIdentity {
  const known = readIdentity(paths);
  if (known !== undefined) return known;
  requireUsable(paths);
  if (existsSync(join(paths.data, joiningKey))) {
    const cure = `finish it: bothy join URL --token TOKEN, or give it up: rm ${join(paths.data, joiningKey)}`;
    throw new CommandError(`${paths.data} is of a machine that was about to join a cloud`, cure);
  }
  return writeIdentity(paths, { cloudId: newId(), hostId: newOrderedId(), createdAt: new Date().toISOString() });
}

/** From here on the directory is the cloud's. */
export function writeIdentity(paths: CloudPaths, identity: CloudIdentity): CloudIdentity {
  rmSync(`${paths.identityFile}.new`, { force: true });
  writeWhole(paths.identityFile, `${JSON.stringify(identity, null, 2)}\n`, { mode: 0o644 });
  return identity;
}
