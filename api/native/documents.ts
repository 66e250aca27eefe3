/** What the native dialect answers. */
import { Type } from 'typebox';
import { meteredTypes } from '../../control/network/meter/index.ts';

const text = Type.String();
const orNull = Type.Union([Type.String(), Type.Null()]);
const integer = Type.Integer();

/** A row of the change log; `resource` has the columns that the caller may see. */
const change = Type.Object(
  {
    resume: Type.String({ description: 'Where to carry on after this change' }),
    at: text,
    action: text,
    type: text,
    id: text,
    project_id: orNull,
    generation: Type.Union([integer, Type.Null()]),
    actor_id: orNull,
    request_id: orNull,
    resource: Type.Record(Type.String(), Type.Unknown()),
  },
  { additionalProperties: false, title: 'Change' },
);

export const changePage = Type.Object(
  { changes: Type.Array(change), resume: text, more: Type.Boolean() },
  { additionalProperties: false },
);

const operation = Type.Object(
  {
    id: text,
    project_id: orNull,
    type: text,
    resource_id: text,
    verb: text,
    generation: integer,
    state: Type.Enum(['running', 'succeeded', 'failed']),
    waiting_for: orNull,
    deadline: orNull,
    attempt: integer,
    error: Type.Union([Type.Null(), Type.Object({ code: text, message: orNull }, { additionalProperties: false })]),
    actor_id: orNull,
    request_id: orNull,
    created_at: text,
    updated_at: text,
    finished_at: orNull,
    owner: Type.Optional(
      Type.Union([Type.String({ description: 'For administrators: it names a host' }), Type.Null()]),
    ),
  },
  { additionalProperties: false, title: 'Operation' },
);

export const oneOperation = Type.Object({ operation }, { additionalProperties: false });

export const operationPage = Type.Object(
  { operations: Type.Array(operation), before: orNull },
  { additionalProperties: false },
);

const exact = { additionalProperties: false } as const;

const decision = Type.Object(
  {
    id: text,
    project_id: orNull,
    type: text,
    resource_id: text,
    kind: text,
    outcome: text,
    message: Type.String({ description: 'What was decided, or what was in the way' }),
    fix: Type.Union([Type.String({ description: 'The nearest way out' }), Type.Null()]),
    created_at: text,
    refusals: Type.Optional(
      Type.Unknown({ description: 'For administrators: how many hosts or pools were refused, for each reason' }),
    ),
    inputs: Type.Optional(
      Type.Unknown({ description: 'For administrators: what was asked, and what was found of each host or pool' }),
    ),
  },
  { ...exact, title: 'Decision' },
);
export const oneDecision = Type.Object({ decision }, exact);
export const decisionPage = Type.Object({ decisions: Type.Array(decision), before: orNull }, exact);

const onHost = { id: text, host_id: text, host_name: text };

export const quarantineDocument = Type.Object(
  {
    incarnation: Type.Object(
      { id: text, at: text, reason: text },
      { ...exact, description: 'The history of the database: since when, and why it is another one' },
    ),
    servers: Type.Array(
      Type.Object(
        {
          ...onHost,
          reason: Type.Enum(['missing', 'older', 'unclaimed']),
          since: text,
          guest_runs: Type.Boolean(),
          name: orNull,
          project_id: orNull,
        },
        exact,
      ),
    ),
    layers: Type.Array(
      Type.Object(
        {
          ...onHost,
          reason: Type.Enum(['missing', 'older']),
          since: text,
          volume_id: text,
          size_bytes: integer,
          encrypted: Type.Boolean(),
          name: orNull,
          project_id: orNull,
        },
        { ...exact, description: 'A file of a volume; name and project are those of the volume whose top it is' },
      ),
    ),
    images: Type.Array(Type.Object({ ...onHost, size_bytes: integer, sha256: text }, exact)),
  },
  { ...exact, title: 'Quarantine' },
);

const number = Type.Number();
const pool = Type.Object(
  {
    ...onHost,
    name: text,
    kind: text,
    tier: Type.Enum(['ram', 'flash', 'disk']),
    availability_zone: text,
    from: Type.Enum(['settings', 'api'], { description: "What its host's settings name they alone can change" }),
    source: Type.Union([Type.String({ description: 'Where a declared one lies' }), Type.Null()]),
    iops_per_volume: Type.Union([integer, Type.Null()]),
    enabled: Type.Boolean({ description: 'Whether new volumes may lie there' }),
    disabled_reason: orNull,
    problem: Type.Union([Type.String({ description: 'Why nothing is made there' }), Type.Null()]),
    host_connected: Type.Boolean(),
    host_enabled: Type.Boolean(),
    over_subscription: number,
    reserved_percentage: integer,
    iops: Type.Union([
      Type.Integer({
        description: 'Reads and writes a second that it gives to guests, where administrators have said so',
      }),
      Type.Null(),
    ]),
    iops_over_subscription: number,
    promised_iops: Type.Number({ description: 'What the types of its volumes promise of them' }),
    total_bytes: number,
    free_bytes: number,
    promised_bytes: number,
    room_bytes: Type.Number({ description: 'What may still be promised' }),
    own_bytes: Type.Number({ description: 'What is taken for one volume or snapshot alone' }),
    shared_bytes: Type.Number({ description: 'What is taken for several' }),
    reclaimable_bytes: Type.Number({ description: 'What is taken and nobody needs any more' }),
    volumes: integer,
    volume_gib: number,
    created_at: text,
    updated_at: text,
  },
  { ...exact, title: 'Storage pool' },
);
export const onePool = Type.Object({ storage_pool: pool }, exact);
export const poolList = Type.Object({ storage_pools: Type.Array(pool) }, exact);

const addressOrPort = Type.Object(
  { port: Type.Optional(text), address: Type.Optional(text) },
  { ...exact, description: 'A port, or an address, or a port by one of its addresses' },
);
const hop = Type.Object(
  {
    kind: text,
    id: Type.Union([text, Type.Null()]),
    does: Type.String({ description: 'What happens there; beyond_sight: it is not yours' }),
    source: Type.String({ description: 'As the packet leaves it' }),
    destination: text,
    via: Type.Optional(Type.String({ description: 'The port that a router sends it out of' })),
  },
  { ...exact, title: 'Hop' },
);
const opening = Type.Object(
  {
    action: Type.Enum(['create', 'update']),
    resource: text,
    id: orNull,
    values: Type.Record(Type.String(), Type.Unknown()),
  },
  { ...exact, description: 'A request to the network API that takes the stop away' },
);
const stop = Type.Object(
  {
    way: Type.Enum(['there', 'back'], { description: 'The way there, or that of the answer' }),
    kind: text,
    id: orNull,
    reason: text,
    message: text,
    opens: Type.Array(opening, { description: 'Any one of them will do' }),
  },
  { ...exact, title: 'Stop' },
);
const portRange = Type.Object({ first: integer, last: integer }, exact);
const reachability = Type.Object(
  {
    from: addressOrPort,
    to: addressOrPort,
    version: Type.Enum([4, 6]),
    protocol: Type.Integer({ description: "IANA's number" }),
    port: Type.Union([integer, Type.Null()]),
    reachable: Type.Boolean({ description: 'It gets there, and its answer back' }),
    open_ports: Type.Union([Type.Array(portRange), Type.Null()], {
      description: 'Where no port was asked for of a protocol that has some: those that get there',
    }),
    there: Type.Array(hop),
    back: Type.Array(hop),
    stops: Type.Array(stop, { description: 'In the order of the way; the first is what stops a packet today' }),
    assumptions: Type.Array(Type.String(), { description: 'What this cloud does not decide and the answer rests on' }),
  },
  { ...exact, title: 'Reachability' },
);
export const reachabilityDocument = Type.Object({ reachability }, exact);

const ipVersion = Type.Union([Type.Enum([4, 6]), Type.Null()]);
const assertion = Type.Object(
  {
    ...{ id: text, project_id: text, name: text, description: text },
    kind: Type.Enum(['must', 'never']),
    ...{ from: text, to: text, version: ipVersion, protocol: integer },
    port: Type.Union([integer, Type.Null({ description: 'All of them, or there are none' })]),
    on_violation: Type.Enum(['refuse', 'alarm']),
    state: Type.Enum(['holds', 'violated', 'unknown']),
    state_since: text,
    finding: Type.Union([
      Type.Null(),
      Type.Object(
        {
          missing: Type.Enum(['from', 'to', 'answer'], {
            description: 'The end that is not there any more; or the answer, where too much hangs together for one',
          }),
        },
        exact,
      ),
      Type.Object(
        {
          ...{ there: Type.Array(hop), back: Type.Array(hop), stops: Type.Array(stop) },
          open_ports: Type.Union([Type.Array(portRange), Type.Null()]),
        },
        { ...exact, description: 'Why it is violated' },
      ),
    ]),
    ...{ created_at: text, updated_at: text },
  },
  { ...exact, title: 'Reachability assertion' },
);
export const oneAssertion = Type.Object({ reachability_assertion: assertion }, exact);
export const assertionList = Type.Object({ reachability_assertions: Type.Array(assertion) }, exact);

export const versionDocument = Type.Object(
  { version: text, links: Type.Record(Type.String(), Type.String()) },
  { additionalProperties: false },
);

/** The form of every refusal. */
export const nativeFault = Type.Object(
  {
    error: Type.Object({
      code: text,
      reason: Type.Optional(text),
      message: text,
      details: Type.Record(Type.String(), Type.Unknown()),
    }),
  },
  { title: 'Fault' },
);

const share = Type.Number({ minimum: 0, maximum: 1 });
const shareOrNull = Type.Union([share, Type.Null()]);
const curvePoint = Type.Object({ cache_bytes: integer, miss_ratio: share }, exact);

const cache = Type.Object(
  {
    volume_id: text,
    policy: Type.Enum(['write-back', 'write-through']),
    size_bytes: integer,
    reads: integer,
    hits: Type.Integer({ description: 'Reads that are sure to have found everything in the generation that fills' }),
    hit_ratio: shareOrNull,
    promoted_bytes: Type.Integer({ description: 'What came into the cache: read or written for the first time' }),
    sunk_bytes: integer,
    warmings: Type.Integer({
      description: 'How often a hot spot began elsewhere and was found in the cache after a while',
    }),
    last_warming_seconds: Type.Union([
      Type.Number({ description: 'From the start of the last hot spot to 80 % hits' }),
      Type.Null(),
    ]),
    advice: Type.Object(
      {
        generations: Type.Integer({ description: 'What it is made from' }),
        miss_ratio: shareOrNull,
        next_gib: Type.Union([curvePoint, Type.Null()]),
        curve: Type.Array(curvePoint, { description: 'Share of reads that go below a cache of so many bytes' }),
      },
      exact,
    ),
    pool: Type.Optional(Type.String({ description: 'For administrators' })),
    problem: Type.Optional(
      Type.Union([Type.String({ description: 'For administrators: what its host says does not go on' }), Type.Null()]),
    ),
  },
  { ...exact, title: 'Cache' },
);

export const cacheDocument = Type.Object(
  { cache: Type.Union([cache, Type.Null({ description: 'The volume has none' })]) },
  exact,
);

const space = Type.Object(
  {
    volume_id: text,
    size_bytes: Type.Number({ description: 'That its guest sees' }),
    own_bytes: Type.Number({ description: 'What its deletion gives back: in layers that nobody else needs' }),
    mergeable_bytes: Type.Number({
      description: 'Of that, what lies in layers that are about to be merged: some of it comes back',
    }),
    snapshot_bytes: Type.Number({ description: 'What its snapshots need and no other volume does' }),
    shared_bytes: Type.Number({ description: 'What other volumes or their snapshots need too' }),
    reclaimable_bytes: Type.Number({ description: 'What nobody needs any more, and its host has yet to remove' }),
  },
  { ...exact, title: 'Space' },
);
export const spaceDocument = Type.Object({ space }, exact);

const meter = Type.Object(
  {
    id: Type.String({ description: 'Of what is metered' }),
    resource_type: Type.Enum([...meteredTypes]),
    project_id: text,
    ...{ rx_bytes: integer, rx_packets: integer, tx_bytes: integer, tx_packets: integer },
    ...{ created_at: text, updated_at: text },
  },
  { ...exact, title: 'Meter' },
);
export const oneMeter = Type.Object({ meter }, exact);
export const meterList = Type.Object({ meters: Type.Array(meter) }, exact);

const hostToken = {
  id: text,
  host_name: Type.Union([Type.String({ description: 'The only name that the machine may have' }), Type.Null()]),
  ...{ created_at: text, expires_at: text, used_at: orNull },
  used_by: Type.Union([Type.String({ description: 'The host that it made' }), Type.Null()]),
};
export const hostTokenList = Type.Object(
  { host_tokens: Type.Array(Type.Object(hostToken, { ...exact, title: 'Host token' })) },
  exact,
);
export const newHostToken = Type.Object(
  {
    host_token: Type.Object(
      { ...hostToken, token: Type.String({ description: "For 'bothy join'; told this once" }) },
      { ...exact, title: 'New host token' },
    ),
  },
  exact,
);
const pem = Type.String({ description: 'PEM' });
export const certificateDocument = Type.Object({ certificate: pem, ca: pem }, exact);
export const joinDocument = Type.Object(
  {
    cloud_id: text,
    ca: pem,
    version: text,
    protocol: Type.Object({ lowest: integer, highest: integer }, exact),
  },
  exact,
);
export const joinedDocument = Type.Object(
  {
    host: Type.Object({ id: text, name: text }, exact),
    cloud_id: text,
    southbound_port: Type.Integer({ description: 'Of the southbound database, at the address of control' }),
    ...{ certificate: pem, ca: pem },
  },
  exact,
);
