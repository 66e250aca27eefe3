/**
 * The messages of the stream between control and a host.
 *
 * The host dials control: a WebSocket on the API port, path {@link hostStreamPath}, under mutual TLS; the host's
 * certificate names its id (subject CN = host id). Control speaks first: `hello`, then one `snapshot`, complete; from then
 * on `update`s, each item complete in itself. Nothing is a command: every message states what shall be, so any of
 * them may be repeated, and a host that saved the last state acts on it while control is away. A host erases only what a document
 * says is absent; what a snapshot merely does not name, or names as it was before, it keeps and reports (see quarantine.ts).
 *
 * A snapshot and an update say at which position of which incarnation of the database they were read. The host gives back the
 * last of them in its hello: where the database has never been there, it went back.
 *
 * The host answers with `report`s: what is, with the generation that it served. The first report after a connection is
 * complete. Control keeps a report only if host and epoch are still the owner's and the generation is not older. The host's
 * pings carry its time (milliseconds since 1970 in decimal), by which control measures how far their clocks are apart.
 *
 * A host asks for its lease with each of these, and with its hello: it is lent what control lends for `leaseMs` from the moment at which it *asked*. Control
 * first writes into the database how long that will last at most, and then says so (`lease`); see docs/decisions/0017-leases.md.
 *
 * A host process that ends in order (a stop, an upgrade, a reboot of its machine) closes the stream with code 1001, and control remembers that until it is heard again: such a silence is no
 * reason to turn the machine off. Its lease ends as any other.
 *
 * A message is right or the stream ends; the documents in it are read one by one (read.ts), and one that can't be read is
 * answered by an observation `failed`, while the others go on. Peers may be of different versions: unknown fields and
 * unknown types of messages are ignored, and both hellos say which versions of the protocol are spoken (protocol.ts).
 *
 * Keys of encrypted layers are in no document: a host asks for one when it has to open a layer, and forgets it with the layer; it keeps none
 * on disk.
 *
 * For bytes (images, console logs) control and other hosts call the host's own HTTPS service, see service.ts.
 */
import type { Static } from 'typebox';
import type { HostId, ImageId, LayerId, NetworkId, ServerId, VolumeKeyId } from '../ids.ts';
import {
  boolean,
  count,
  dictionary,
  documents,
  id,
  integer,
  list,
  literal,
  nullable,
  object,
  optional,
  text,
} from '../schema/type.ts';
import { hostFacts, poolLevels } from './facts.ts';
import { hostUrl } from './image.ts';
import type { DesiredLayer, ObservedLayer } from './layer.ts';
import { hostLimits, layerLimits, messageLimits as limits, serverLimits } from './limits.ts';
import { meteredMessage, metersMessage } from './meter.ts';
import type { DesiredNetwork } from './network.ts';
import { objectDiskLevels } from './object.ts';
import { declaredPool } from './pool.ts';
import { versions } from './protocol.ts';
import { type QuarantinedLayer, type QuarantinedServer, quarantinedImage } from './quarantine.ts';
import type { DesiredServer, ObservedServer } from './server.ts';
import { tunnelReport } from './tunnel.ts';

export const hostStreamPath = '/host/v1/stream';

/** Milliseconds since 1970 by the host's clock. */
const hostTime = count;
/** Of the change log; means something to control only. */
const position = text(100);

export const controlMessages = {
  hello: object({
    type: literal('hello'),
    ...versions,
    cloudId: id<string>(),
    hostId: id<HostId>(),
    leaseMs: integer(0, 2 ** 31),
  }),
  /** Lent, for so long from when the host said this time. */
  lease: object({ type: literal('lease'), asked: hostTime, leaseMs: integer(0, 2 ** 31) }),
  /**
   * `images`: all uploads whose bytes the host shall keep, beyond what its servers need. In an update only when the list has
   * changed. It may come a moment after an upload that it names, so the host leaves young files alone. `unchanged`: of these servers
   * the document in force is the one that the host says that it holds; it counts as named by the snapshot.
   */
  snapshot: object({
    type: literal('snapshot'),
    servers: documents<DesiredServer>(limits.servers),
    unchanged: optional(list(id<ServerId>(), limits.servers)),
    /** Absent: an older control, which knows of none. */
    layers: optional(documents<DesiredLayer>(limits.layers)),
    unchangedLayers: optional(list(id<LayerId>(), limits.layers)),
    networks: documents<DesiredNetwork>(limits.networks),
    images: list(id<ImageId>(), limits.images),
    incarnation: optional(id<string>()),
    position: optional(position),
  }),
  update: object({
    type: literal('update'),
    servers: documents<DesiredServer>(limits.servers),
    layers: optional(documents<DesiredLayer>(limits.layers)),
    networks: documents<DesiredNetwork>(limits.networks),
    removedNetworks: list(id<NetworkId>(), limits.networks),
    images: optional(list(id<ImageId>(), limits.images)),
    position: optional(position),
  }),
  /** The observation `absent` was recorded: the host may forget the server, or the layer. */
  forget: object({
    type: literal('forget'),
    servers: list(id<ServerId>(), limits.servers),
    layers: optional(list(id<LayerId>(), limits.layers)),
  }),
  /**
   * All pools that administrators have declared for this host. One that is not among them any more goes, as soon as no layer lies in it: its
   * mark and its mount, never a file. Told before the snapshot, and when it has changed; an older control tells none.
   */
  pools: object({
    type: literal('pools'),
    pools: list(declaredPool, layerLimits.pools, { distinct: 'name', misfits: 'left out' }),
  }),
  /** What the host asked for. Null: there is no such key any more, or none that can be read; `problem` says which. */
  keys: object({
    type: literal('keys'),
    keys: list(
      object({
        id: id<VolumeKeyId>(),
        passphrase: nullable(text(64, { pattern: '^[0-9a-f]{64}$' })),
        problem: nullable(text(hostLimits.reasonLength)),
      }),
      limits.keys,
    ),
  }),
  /** Where control processes are, the one that says it first. Told after its hello and when it has changed; an older control tells none. */
  controls: object({ type: literal('controls'), urls: list(hostUrl, limits.controls) }),
  /** The answer to `meters`. An older control gives none, and the host says its last word again and again: it has no harm. */
  metered: meteredMessage,
};

export const hostMessages = {
  hello: object({
    type: literal('hello'),
    ...versions,
    cloudId: nullable(id<string>()),
    facts: hostFacts,
    /** It asks for a lease. Absent: an older host, which takes any sign of life for one. */
    time: optional(hostTime),
    /** What the last snapshot or update said. */
    remembers: optional(object({ incarnation: id<string>(), position })),
    /** The stamps of the documents in force, by server. Absent: the host wants them all. */
    holds: optional(
      dictionary({ maxProperties: limits.servers, maxKeyLength: 36, maxValueLength: serverLimits.stampLength }),
    ),
    holdsLayers: optional(
      dictionary({ maxProperties: limits.layers, maxKeyLength: 36, maxValueLength: serverLimits.stampLength }),
    ),
  }),
  report: object({
    type: literal('report'),
    complete: boolean,
    servers: documents<ObservedServer>(limits.servers),
    layers: optional(documents<ObservedLayer>(limits.layers)),
    /** Of those pools that are not as they were said to be; a percent more or less free is no news. */
    pools: optional(poolLevels),
    /** Of those of its object disks that are not as they were said to be. */
    objectDisks: optional(objectDiskLevels),
    /** In a complete report, when it has changed, and from time to time. Absent: as it was, or of an older host, or one that has no tunnels. */
    tunnels: optional(tunnelReport),
  }),
  /**
   * `ids`, `layerIds` and `images` are complete; `servers` and `layers` may be a part, and others of the ids are as they were told before
   * on this stream or follow.
   */
  quarantine: object({
    type: literal('quarantine'),
    ids: list(id<ServerId>(), limits.servers),
    servers: documents<QuarantinedServer>(limits.servers),
    /** Absent: an older host, which does not tell of its layers. */
    layerIds: optional(list(id<LayerId>(), limits.layers)),
    layers: optional(documents<QuarantinedLayer>(limits.layers)),
    images: list(quarantinedImage, limits.quarantinedImages, { distinct: 'id' }),
  }),
  /** The host has to open layers, and has not the keys of these. Answered by `keys`; it asks again where no answer comes. */
  ask: object({ type: literal('ask'), keys: list(id<VolumeKeyId>(), limits.keys) }),
  /** Answered by `metered`. */
  meters: metersMessage,
};

export type ControlMessage = {
  [T in keyof typeof controlMessages]: Static<(typeof controlMessages)[T]>;
}[keyof typeof controlMessages];

export type HostMessage = {
  [T in keyof typeof hostMessages]: Static<(typeof hostMessages)[T]>;
}[keyof typeof hostMessages];
