/**
 * Reading what a host sends. A host is authenticated but not trusted with control's memory or database: every message
 * is bounded, checked against its schema, and rebuilt from the fields that we know, in text that PostgreSQL can store.
 */
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { CloudError } from '../../contract/errors.ts';
import type { HostFacts, HostMessage, ObservedServer } from '../../contract/host.ts';

/** A complete report of 10,000 servers fits; more than a host can hold. */
export const maxMessageBytes = 16 * 1024 * 1024;

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

const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const text = (maxLength: number) => Type.String({ maxLength });
const uuid = Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' });

const observedServer = Type.Object({
  id: uuid,
  epoch: count,
  generation: count,
  state: Type.Union(['building', 'running', 'stopped', 'absent', 'failed'].map((state) => Type.Literal(state))),
  rebootCount: count,
  step: Type.Union([text(1000), Type.Null()]),
  error: Type.Union([Type.Object({ code: text(100), message: text(4000) }), Type.Null()]),
  startedAt: Type.Union([
    Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,9})?Z$' }),
    Type.Null(),
  ]),
});

const facts = Type.Object({
  name: text(255),
  accelerator: Type.Union([Type.Literal('kvm'), Type.Literal('tcg')]),
  acceleratorReason: text(4000),
  architecture: text(100),
  cpus: Type.Integer({ minimum: 1, maximum: 100_000 }),
  memoryMiB: Type.Integer({ minimum: 1, maximum: 2 ** 40 }),
  diskGiB: Type.Integer({ minimum: 0, maximum: 2 ** 40 }),
  datapath: Type.Union([Type.Literal('system'), Type.Literal('netdev')]),
  qemuVersion: text(200),
  bothyVersion: text(200),
  url: text(2000),
  socket: Type.Union([text(200), Type.Null()]),
});

const message = Compile(
  Type.Union([
    Type.Object({
      type: Type.Literal('hello'),
      protocol: count,
      cloudId: Type.Union([uuid, Type.Null()]),
      facts,
    }),
    Type.Object({
      type: Type.Literal('report'),
      complete: Type.Boolean(),
      servers: Type.Array(observedServer, { maxItems: 20_000 }),
    }),
  ]),
);

/** @throws CloudError `invalid` */
export function parseHostMessage(json: string): HostMessage {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new CloudError('invalid', 'the message is not JSON', { cause: error });
  }
  if (!message.Check(value)) throw new CloudError('invalid', `the message breaks the protocol: ${explain(value)}`);
  const checked = value as HostMessage;
  return checked.type === 'hello'
    ? { type: 'hello', protocol: checked.protocol, cloudId: checked.cloudId, facts: rebuildFacts(checked.facts) }
    : { type: 'report', complete: checked.complete, servers: checked.servers.map(rebuildServer) };
}

/** Where the first thing is wrong, in words short enough for a WebSocket close reason. */
function explain(value: unknown): string {
  const type = (value as { type?: unknown } | null)?.type;
  if (type !== 'hello' && type !== 'report') return 'unknown type';
  const first = message.Errors(value).find((error) => error.instancePath !== '');
  return `${type}${first ? `${first.instancePath} ${first.message}` : ''}`.slice(0, 80);
}

/** PostgreSQL stores neither NUL nor half a surrogate pair. */
const storable = (value: string): string => value.replaceAll('\0', '').toWellFormed();

const rebuildServer = (server: ObservedServer): ObservedServer => ({
  id: server.id,
  epoch: server.epoch,
  generation: server.generation,
  state: server.state,
  rebootCount: server.rebootCount,
  step: server.step === null ? null : storable(server.step),
  error: server.error && { code: storable(server.error.code), message: storable(server.error.message) },
  startedAt: server.startedAt !== null && Number.isNaN(Date.parse(server.startedAt)) ? null : server.startedAt,
});

const rebuildFacts = (given: HostFacts): HostFacts => ({
  name: storable(given.name),
  accelerator: given.accelerator,
  acceleratorReason: storable(given.acceleratorReason),
  architecture: storable(given.architecture),
  cpus: given.cpus,
  memoryMiB: given.memoryMiB,
  diskGiB: given.diskGiB,
  datapath: given.datapath,
  qemuVersion: storable(given.qemuVersion),
  bothyVersion: storable(given.bothyVersion),
  url: storable(given.url),
  socket: given.socket === null ? null : storable(given.socket),
});
