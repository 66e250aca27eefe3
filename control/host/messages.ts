/**
 * Reading what a host sends. A host is authenticated but not trusted with control's memory or database: every message
 * is bounded, checked against its schema, and rebuilt from the fields that we know, in text that PostgreSQL can store.
 */
import { CloudError } from '../../contract/errors.ts';
import { type HostFacts, type HostMessage, hostMessages, type ObservedServer } from '../../contract/host/index.ts';
import { Mismatch, read } from '../../contract/schema/read.ts';

/** WebSocket close codes (RFC 6455 section 7.4; from 4000 on our own). */
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

/** @throws CloudError `invalid` */
export function parseHostMessage(json: string): HostMessage {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new CloudError('invalid', 'the message is not JSON', { cause: error });
  }
  const type = (value as { type?: unknown } | null)?.type;
  if (typeof type !== 'string' || !Object.hasOwn(hostMessages, type)) {
    throw new CloudError('invalid', 'the message breaks the protocol: unknown type');
  }
  const checked = readAs(type as HostMessage['type'], value);
  return checked.type === 'hello'
    ? { ...checked, facts: rebuildFacts(checked.facts) }
    : { ...checked, servers: checked.servers.map(rebuildServer) };
}

function readAs(type: HostMessage['type'], value: unknown): HostMessage {
  try {
    return read(hostMessages[type], value);
  } catch (error) {
    const reason = error instanceof Mismatch ? error.message : '';
    // Short enough for a WebSocket close reason.
    throw new CloudError('invalid', `the message breaks the protocol: ${type} ${reason}`.slice(0, 100), {
      cause: error,
    });
  }
}

/** PostgreSQL stores neither NUL nor half a surrogate pair. */
const storable = (value: string): string => value.replaceAll('\0', '').toWellFormed();

const rebuildServer = (server: ObservedServer): ObservedServer => ({
  ...server,
  step: server.step === null ? null : storable(server.step),
  error: server.error && { code: storable(server.error.code), message: storable(server.error.message) },
  startedAt: server.startedAt !== null && Number.isNaN(Date.parse(server.startedAt)) ? null : server.startedAt,
});

const rebuildFacts = (given: HostFacts): HostFacts => ({
  ...given,
  name: storable(given.name),
  acceleratorReason: storable(given.acceleratorReason),
  architecture: storable(given.architecture),
  qemuVersion: storable(given.qemuVersion),
  bothyVersion: storable(given.bothyVersion),
  url: storable(given.url),
  socket: given.socket === null ? null : storable(given.socket),
});
