/**
 * What a peer of an older protocol can read of what this one says. Of protocol 2 it is that digests of an image may come later: to a
 * peer of protocol 1 what waits for one is not said until it is known, seconds later. Of protocol 3 it is that layers may be encrypted: a
 * host that overlooks that would make them in the clear, and is told of none. Of protocol 4 it is that a lease is lent by a message of its own: to a
 * peer of an older one any sign of life is one. Of protocol 5 it is that a layer may be a copy of another host's: a host that overlooks that would
 * make an empty one. Pure.
 */
import type { ImageId, ServerId } from '../ids.ts';
import type { DesiredLayer } from './layer.ts';
import type { ControlMessage, HostMessage } from './messages.ts';
import type { DesiredServer, ObservedServer } from './server.ts';

/** The first protocol in which an image's digest may be unknown, in a document and in an outcome. */
const digestsLater = 2;
/** The first in which a layer may be encrypted. */
const encryptedLayers = 3;
/** The first in which control lends by `lease` alone. */
export const lentByMessage = 4;
/** The first in which a layer may be a copy of another host's. */
const copiedLayers = 5;

const awaitsDigest = ({ presence, image, rescue }: DesiredServer): boolean =>
  presence === 'present' && (image?.sha256 === null || rescue?.image.sha256 === null);

/**
 * A server whose document has to wait goes on as it was: a host that holds an earlier one is told that this is in force.
 * @param held of which servers the host said that it holds documents
 */
export function readableByHost(version: number, message: ControlMessage, held: ReadonlySet<ServerId>): ControlMessage {
  if (version >= copiedLayers || (message.type !== 'snapshot' && message.type !== 'update')) return message;
  const { layers } = message;
  const readable = { ...message, ...(layers && { layers: layers.filter(isReadable(version)) }) };
  return version >= digestsLater ? readable : withDigests(readable, held);
}

const isReadable =
  (version: number) =>
  ({ encryption, copyOf }: DesiredLayer): boolean =>
    !copyOf && (version >= encryptedLayers || !encryption);

type StateMessage = ControlMessage & { type: 'snapshot' | 'update' };

function withDigests(message: StateMessage, held: ReadonlySet<ServerId>): StateMessage {
  const waiting = message.servers.filter(awaitsDigest).map(({ id }) => id);
  if (waiting.length === 0) return message;
  const servers = message.servers.filter(({ id }) => !waiting.includes(id));
  if (message.type === 'update') return { ...message, servers };
  const inForce = waiting.filter((id) => held.has(id));
  return { ...message, servers, ...(inForce.length > 0 && { unchanged: [...(message.unchanged ?? []), ...inForce] }) };
}

/**
 * An image of a disk is not said to be made before its digest is known.
 * @param digestOf undefined where it is not known
 * @returns the message, and the servers of which something was left out
 */
export function readableByControl(
  version: number,
  message: HostMessage,
  digestOf: (id: ImageId) => string | undefined,
): { message: HostMessage; incomplete: ObservedServer[] } {
  if (version >= digestsLater || message.type !== 'report') return { message, incomplete: [] };
  const incomplete: ObservedServer[] = [];
  const servers = message.servers.map((server) => {
    if (!server.captures?.length) return server;
    const captures = server.captures.flatMap((capture) => {
      if (!capture.result || capture.result.sha256) return [capture];
      const sha256 = digestOf(capture.imageId);
      return sha256 === undefined ? [] : [{ ...capture, result: { ...capture.result, sha256 } }];
    });
    if (captures.length < server.captures.length) incomplete.push(server);
    return { ...server, captures };
  });
  return { message: { ...message, servers }, incomplete };
}
