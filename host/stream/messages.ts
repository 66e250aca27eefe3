/**
 * Reading what control sends. Control is authenticated, but a defect there must not become a command line, a path or a
 * lost disk here: a message is taken whole or not at all. Pure.
 */
import {
  type ControlMessage,
  controlMessages,
  type DesiredNetwork,
  type DesiredServer,
  desiredNetwork,
  desiredServer,
} from '../../contract/host/index.ts';
import { Mismatch, read } from '../../contract/schema/read.ts';

/** @throws Mismatch naming the first place that is wrong */
export function parseControlMessage(json: string): ControlMessage {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new Mismatch('', 'JSON');
  }
  const type = (value as { type?: unknown } | null)?.type;
  if (typeof type !== 'string' || !Object.hasOwn(controlMessages, type)) throw new Mismatch('/type', 'a known type');
  return read(controlMessages[type as ControlMessage['type']], value);
}

/** The documents of a saved state go through the same checks as those on the wire. */
export const checkServer = (value: unknown): DesiredServer => read(desiredServer, value);
export const checkNetwork = (value: unknown): DesiredNetwork => read(desiredNetwork, value);
