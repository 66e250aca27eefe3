/** What is in, of one server: its files, its QEMU, what it waits for. Changes nothing but what the task knows. */
import { readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { DesiredServer } from '../../contract/host/index.ts';
import type { LayerId } from '../../contract/ids.ts';
import { exists } from '../disk/disk.ts';
import { keptDisksAmong, localDisksAmong } from '../disk/local-disk.ts';
import { hotBus } from '../guest/volumes.ts';
import { asFault } from '../host-error.ts';
import { hasEnd } from '../migration/end.ts';
import { keysOf } from '../volume/index.ts';
import { isWanted, type ServerFacts } from './decide.ts';
import { devicesOf } from './steps/cards.ts';
import { lookAtCopies } from './steps/copies.ts';
import type { ServerTask } from './task.ts';
import type { LayerFacts } from './volumes.ts';
import { volumesToOpen } from './volumes.ts';

export async function look(task: ServerTask, desired: DesiredServer | undefined): Promise<ServerFacts> {
  const { record, guest, context } = task;
  // One look at the folder: each question wakes a thread, and passes are many.
  const { data, run, disk, rescueDisk, memory } = task.paths;
  const names = await readdir(data).catch(() => undefined);
  const here = (path: string) => dirname(path) === data && names?.includes(basename(path)) === true;
  const guard = guardFacts(task, desired);
  if (guest && !guest.ending && !guard?.held && record?.running) await lookAtCopies(task);
  return {
    record,
    files: names !== undefined || (await exists(run)),
    disk: here(disk),
    rescueDisk: here(rescueDisk),
    localDisks: localDisksAmong(names ?? []),
    keptDisks: keptDisksAmong(names ?? []),
    memory: here(memory),
    plugged: task.plugging !== undefined || (record?.ports.length ?? 0) > 0,
    // Who stands still answers nothing.
    cards: guard?.held ? undefined : await cardFacts(task),
    volumes: guard?.held ? undefined : await volumeFacts(task, desired),
    layer: await layerAwaited(task, desired),
    guest: guest && { state: guest.state, ending: guest.ending },
    received: await received(task),
    bootId: context.bootId,
    erasedEpoch: context.erased.epochOf(task.id),
    leaseEnded: context.lease.state === 'ended',
    leaseHeld: context.lease.state === 'held',
    guard,
  };
}

function guardFacts({ id, guest, context }: ServerTask, desired: DesiredServer | undefined): ServerFacts['guard'] {
  const { guard, lease } = context;
  const pid = guest?.process.pid;
  const guarded = pid === undefined ? undefined : guard.guarded(id, pid);
  if (desired?.onLeaseEnd === undefined && guarded === undefined) return undefined;
  return {
    leaseHeld: lease.state === 'held',
    ...{ guarded, held: pid !== undefined && guard.held(pid), ended: pid === undefined && guard.ended(id) },
  };
}

async function received({ record, paths }: ServerTask): Promise<boolean> {
  const migration = record?.migration;
  return (
    migration?.side === 'incoming' &&
    migration.mode === 'cold' &&
    migration.state === 'receiving' &&
    (await hasEnd(paths))
  );
}

async function cardFacts(task: ServerTask): Promise<ServerFacts['cards']> {
  const { guest, record } = task;
  const { unplugTimeoutMs } = task.context.limits;
  if (!guest || !record?.cards) return undefined;
  const asked = record.cards.some(({ askedAt }) => askedAt !== undefined) && !guest.ending;
  const devices = asked ? await devicesOf(task).catch(() => undefined) : undefined;
  return { cards: record.cards, devices, now: Date.now(), unplugTimeoutMs };
}

/** Of a guest that runs or stands still; undefined where there is nothing to be done about any. */
async function volumeFacts(task: ServerTask, desired: DesiredServer | undefined): Promise<ServerFacts['volumes']> {
  const { guest, record, context } = task;
  const [volumes, wanted] = [record?.volumes ?? [], desired?.volumes ?? []];
  const runs = guest && !guest.ending && (guest.state === 'running' || guest.state === 'paused');
  if (!runs || !record?.running || volumes.length + wanted.length === 0) return undefined;
  const bus = hotBus(desired?.hardware?.diskBus);
  const settled = wanted.every(({ id }) => volumes.some((volume) => volume.id === id && volume.plugged));
  const moving = !settled || volumes.some(({ askedAt }) => askedAt !== undefined);
  const devices = moving ? await devicesOf(task) : undefined;
  const open = new Set(volumes.filter(({ plugged }) => plugged).map(({ layerId }) => layerId));
  const missing = wanted.filter(({ layerId }) => !open.has(layerId)).map(({ layerId }) => layerId);
  const layers = new Map(await Promise.all(missing.map(async (id) => [id, await layerFacts(task, id)] as const)));
  const coming = [...layers].flatMap(([id, facts]) => ('lower' in facts ? [id, ...facts.lower] : [id]));
  return {
    ...{ volumes, devices, hot: bus !== undefined && devices?.has(bus) === true, layers },
    moments: new Map(coming.map((id) => [id, context.layers.momentOf(id)])),
    ...{ asked: task.askedFor, kept: task.keptOpen, now: Date.now() },
    ...{ unplugTimeoutMs: context.limits.unplugTimeoutMs, unplugRepeatMs: context.limits.unplugRepeatMs },
  };
}

async function layerFacts({ context }: ServerTask, id: LayerId): Promise<LayerFacts> {
  try {
    const chain = await context.layers.openable(id);
    const awaited = context.layers.keys.missing(keysOf(chain).map((key) => key.id));
    if (awaited !== undefined) return { problem: awaited };
    const { top, lower } = chain;
    return { lower: [...(top.within ?? []), ...lower.map(({ layerId }) => layerId)] };
  } catch (error) {
    return { problem: asFault(error).message };
  }
}

/** The first layer that the guest needs for its start and that can't be opened yet. */
async function layerAwaited(task: ServerTask, desired: DesiredServer | undefined): Promise<ServerFacts['layer']> {
  if (task.guest || desired?.presence !== 'present') return undefined;
  if (!isWanted(desired, task.record) && !desired.incoming && !desired.outgoing) return undefined;
  for (const { layerId } of volumesToOpen(desired, task.record)) {
    const facts = await layerFacts(task, layerId);
    if ('problem' in facts) return { layerId, why: facts.problem };
  }
  return undefined;
}
