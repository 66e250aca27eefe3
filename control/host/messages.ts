/**
 * Reading what a host sends. A host is authenticated but not trusted with control's memory or database: every message
 * is bounded, checked against its schema, and rebuilt from the fields that we know, in text that PostgreSQL can store.
 */

import { CloudError } from '../../contract/errors.ts';
import {
  type HostBandwidth,
  type HostFacts,
  type HostMessage,
  hostUrl,
  type ObservedLayer,
  type ObservedServer,
  type PoolLevel,
  type Reading,
  readHostMessage,
} from '../../contract/host/index.ts';
import { Mismatch, read } from '../../contract/schema/read.ts';

/** WebSocket close codes (RFC 6455 section 7.4; from 4000 on our own). `goingAway` is said by both: the process of who says it ends in order. */
export const closeCodes = {
  goingAway: 1001,
  protocolError: 1002,
  binary: 1003,
  invalidMessage: 1008,
  internal: 1011,
  tryAgainLater: 1013,
  replaced: 4001,
  unknownHost: 4002,
  otherCloud: 4003,
} as const;

/** @throws CloudError `invalid` where the message itself is wrong; what of it could not be read is in the answer */
export function parseHostMessage(json: string): Reading<HostMessage> {
  const { message, unreadable } = readMessage(json);
  if (message?.type === 'hello') return { message: { ...message, facts: rebuildFacts(message.facts) }, unreadable };
  if (message?.type === 'report') {
    const { servers, layers, pools, objectDisks } = message;
    return {
      message: {
        ...message,
        servers: servers.map(rebuildServer),
        ...(layers && { layers: layers.map(rebuildLayer) }),
        ...(pools && { pools: pools.map(rebuildLevel) }),
        ...(objectDisks && { objectDisks: rebuildText(objectDisks) }),
      },
      unreadable,
    };
  }
  if (message?.type === 'quarantine') {
    const { servers, layers } = message;
    return {
      message: { ...message, servers: servers.map(rebuildText), ...(layers && { layers: layers.map(rebuildText) }) },
      unreadable,
    };
  }
  return { message, unreadable };
}

function readMessage(json: string): Reading<HostMessage> {
  try {
    return readHostMessage(json);
  } catch (error) {
    const why = error instanceof Mismatch ? error.message : 'it cannot be read';
    // Short enough for a WebSocket close reason.
    throw new CloudError('invalid', 'protocol_broken', { why: why.slice(0, 75) }, { cause: error });
  }
}

/** PostgreSQL stores neither NUL nor half a surrogate pair. */
const storable = (value: string): string => value.replaceAll('\0', '').toWellFormed();

/** A document goes to the database as it is: every text in it, keys too. */
function rebuildText<T>(value: T): T {
  if (typeof value === 'string') return storable(value) as T;
  if (Array.isArray(value)) return value.map(rebuildText) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [storable(key), rebuildText(each)])) as T;
}

const rebuildServer = (server: ObservedServer): ObservedServer => ({
  ...server,
  step: server.step === null ? null : storable(server.step),
  error: server.error && { code: storable(server.error.code), message: storable(server.error.message) },
  startedAt: server.startedAt && storableTime(server.startedAt),
});

const rebuildLayer = (layer: ObservedLayer): ObservedLayer => rebuildText(layer);

const rebuildLevel = <Level extends PoolLevel>(level: Level): Level => ({
  ...level,
  problem: level.problem === null ? null : storable(level.problem),
});

/** As PostgreSQL reads it: some days that JavaScript takes exist for nobody else, and its years begin with 1. */
function storableTime(text: string): string | null {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) || time.getUTCFullYear() < 1970 ? null : time.toISOString();
}

const rebuildFacts = (given: HostFacts): HostFacts => ({
  ...given,
  name: storable(given.name),
  acceleratorReason: storable(given.acceleratorReason),
  architecture: storable(given.architecture),
  qemuVersion: storable(given.qemuVersion),
  bothyVersion: storable(given.bothyVersion),
  url: usableUrl(given.url),
  ...(given.pools && { pools: given.pools.map(rebuildLevel) }),
  ...(given.objectDisks && { objectDisks: rebuildText(given.objectDisks) }),
  ...(given.bandwidths && { bandwidths: given.bandwidths.map(rebuildBandwidth) }),
  ...(given.physicalNetworks && { physicalNetworks: [...new Set(given.physicalNetworks.map(storable))] }),
});

const rebuildBandwidth = (given: HostBandwidth): HostBandwidth => ({
  ...given,
  physicalNetwork: given.physicalNetwork === null ? null : storable(given.physicalNetwork),
});

/** Other hosts are told this address: what is none is nobody's, and costs only what the host would have lent. */
function usableUrl(given: string): string {
  try {
    return read(hostUrl, given.replace(/\/$/, ''));
  } catch {
    return '';
  }
}
