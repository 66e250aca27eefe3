/**
 * Reading messages, by the same schemas on both sides. The envelope must be right; each document in it is read alone, and
 * those that can't be are handed back beside the message. A type of message that is not known is no error: a newer peer
 * may say more. Pure.
 */
import type { TSchema } from 'typebox';
import { parseId } from '../ids.ts';
import { Mismatch, read } from '../schema/read.ts';
import { absentLayer, type DesiredLayer, deletedLayer, desiredLayer, observedLayer } from './layer.ts';
import { messageLimits } from './limits.ts';
import { type ControlMessage, controlMessages, type HostMessage, hostMessages } from './messages.ts';
import { type DesiredNetwork, desiredNetwork } from './network.ts';
import { quarantinedLayer, quarantinedServer } from './quarantine.ts';
import { absentServer, type DesiredServer, deletedServer, desiredServer, observedServer } from './server.ts';

/** A document that could not be read, with as much of whose it is as could be. */
export interface Unreadable {
  kind: 'server' | 'network' | 'layer' | 'observation' | 'layer observation' | 'quarantine';
  id: string | null;
  epoch: number | null;
  generation: number | null;
  /** Where and what is wrong, by the schema alone: no word of the document's. */
  reason: string;
  document: unknown;
}

export interface Reading<Message> {
  /** Undefined where its type is not known to this version. */
  message: Message | undefined;
  unreadable: Unreadable[];
}

/** @throws Mismatch where the envelope is wrong */
export function readControlMessage(json: string): Reading<ControlMessage> {
  const message = readEnvelope<ControlMessage>(controlMessages, json);
  const unreadable: Unreadable[] = [];
  if (message?.type === 'snapshot' || message?.type === 'update') {
    message.servers = readEach('server', readServer, message.servers, unreadable);
    message.networks = readEach('network', readNetwork, message.networks, unreadable);
    if (message.layers) message.layers = readEach('layer', readLayer, message.layers, unreadable);
  }
  return { message, unreadable };
}

/** @throws Mismatch where the envelope is wrong */
export function readHostMessage(json: string): Reading<HostMessage> {
  const message = readEnvelope<HostMessage>(hostMessages, json);
  const unreadable: Unreadable[] = [];
  const each = <T extends TSchema>(kind: Unreadable['kind'], schema: T, values: readonly unknown[]) =>
    readEach(kind, (value) => read(schema, value), values, unreadable, messageLimits.unreadable);
  if (message?.type === 'report') {
    message.servers = each('observation', observedServer, message.servers);
    if (message.layers) message.layers = each('layer observation', observedLayer, message.layers);
  }
  if (message?.type === 'quarantine') {
    message.servers = each('quarantine', quarantinedServer, message.servers);
    if (message.layers) message.layers = each('quarantine', quarantinedLayer, message.layers);
  }
  return { message, unreadable };
}

/** A server that shall be absent needs little more than its name. @throws Mismatch */
export function readServer(value: unknown): DesiredServer {
  try {
    return read(desiredServer, value);
  } catch (error) {
    if ((value as { presence?: unknown } | null)?.presence !== 'absent') throw error;
    return absentServer(read(deletedServer, value));
  }
}

/** One that shall be absent needs little more than its name. @throws Mismatch */
export function readLayer(value: unknown): DesiredLayer {
  try {
    return read(desiredLayer, value);
  } catch (error) {
    if ((value as { presence?: unknown } | null)?.presence !== 'absent') throw error;
    return absentLayer(read(deletedLayer, value));
  }
}

/** @throws Mismatch */
export const readNetwork = (value: unknown): DesiredNetwork => read(desiredNetwork, value);

/** Reads what can be read of a list; the rest is added to `unreadable`, and once that has `most`, whatever comes, unread. */
export function readEach<T>(
  kind: Unreadable['kind'],
  readOne: (value: unknown) => T,
  values: readonly unknown[],
  unreadable: Unreadable[],
  most = Number.POSITIVE_INFINITY,
): T[] {
  return values.flatMap((document) => {
    let reason = 'not looked at, for all that could not be read before it';
    try {
      if (unreadable.length < most) return [readOne(document)];
    } catch (error) {
      if (!(error instanceof Mismatch)) throw error;
      reason = error.message;
    }
    unreadable.push({ kind, ...whose(document), reason, document });
    return [];
  });
}

function whose(document: unknown): Pick<Unreadable, 'id' | 'epoch' | 'generation'> {
  const { id, epoch, generation } = (document ?? {}) as Record<string, unknown>;
  const number = (value: unknown) => (Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : null);
  // Only the form that ids have here: it becomes a key, and may become a path.
  const known = typeof id === 'string' && parseId(id) === id ? id : null;
  return { id: known, epoch: number(epoch), generation: number(generation) };
}

function readEnvelope<Message>(schemas: Record<string, TSchema>, json: string): Message | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new Mismatch('', 'JSON');
  }
  const type = (value as { type?: unknown } | null)?.type;
  if (typeof type !== 'string') throw new Mismatch('/type', 'a type');
  return Object.hasOwn(schemas, type) ? (read(schemas[type]!, value) as Message) : undefined;
}
