/** From a host's row to a connection with its BMC, and whether what is behind that is the host. The password is in the clear for as long as the connection is. */
import { sql } from 'kysely';
import { Secret } from '../../../contract/secret.ts';
import type { BmcSystem, ServiceProcessor } from '../../../protocols/bmc/index.ts';
import { Ipmi } from '../../../protocols/ipmi/index.ts';
import { Redfish, type RedfishTrust } from '../../../protocols/redfish/index.ts';
import type { Sealer } from '../../identity/index.ts';
import type { Queryable } from '../../kit/database/database.ts';
import { type BmcAccepted, isProven } from './proven.ts';

/** What is needed of its row to speak with it. */
export interface BmcAccess {
  host_id: string;
  host_name: string;
  url: string;
  user_name: string;
  sealed: Buffer;
  fingerprint256: string | null;
  ca: string | null;
  system: string | null;
  /** Of the machine, by the host's own word; null: it has said none, or one that another host says too, as where a maker gives all the same. */
  machine_uuid: string | null;
  /** That the machine behind it is the host, by an administrator's word. */
  accepted: BmcAccepted | null;
}

/** The row that a password is bound to. */
export const sealedFor = (hostId: string): string => `host_bmc ${hostId}`;

export const accessColumns = sql`b.host_id, h.name as host_name, b.url, b.user_name, b.sealed, b.fingerprint256, b.ca, b.system, b.accepted,
  case when not exists (select from host o where o.id <> h.id and o.facts ->> 'machineUuid' = h.facts ->> 'machineUuid')
    then h.facts ->> 'machineUuid' end as machine_uuid`;

/** Undefined: it has none. */
export async function bmcAccess(db: Queryable, hostId: string): Promise<BmcAccess | undefined> {
  const { rows } = await sql<BmcAccess>`select ${accessColumns} from host_bmc b join host h on h.id = b.host_id
    where b.host_id = ${hostId}`.execute(db);
  return rows[0];
}

/** Of a row, or of what is about to become one. */
const trustOf = ({ fingerprint256, ca }: Pick<BmcAccess, 'fingerprint256' | 'ca'>): RedfishTrust =>
  fingerprint256 === null ? { ca: ca ?? '' } : { fingerprint256 };

/** Of an address: by what is spoken there. */
export const isIpmi = (url: string): boolean => url.startsWith('ipmi:');

/** To be closed. @throws CloudError `unavailable` where the password can not be read */
export function openBmc(access: BmcAccess, sealer: Pick<Sealer, 'open'>, timeoutMs?: number): ServiceProcessor {
  const { url, user_name: user, sealed, system } = access;
  const password = new Secret(sealer.open(sealed, sealedFor(access.host_id)));
  const bounded = timeoutMs !== undefined && { timeoutMs };
  if (!isIpmi(url)) return new Redfish({ url, user, password, system, trust: trustOf(access), ...bounded });
  const { hostname, port } = new URL(url);
  return new Ipmi({
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(port || 623),
    user,
    password,
    ...bounded,
  });
}

/**
 * Whether the machine behind a BMC is the host, by the UUID that its firmware tells both, in whichever order its bytes come; undefined where one of them says none: that proves nothing.
 */
export function isSameMachine(
  { uuid, otherUuids }: Pick<BmcSystem, 'uuid' | 'otherUuids'>,
  machineUuid: string | null,
): boolean | undefined {
  if (uuid === null || machineUuid === null) return undefined;
  return [uuid, ...otherUuids].includes(machineUuid.toLowerCase());
}

/** By its UUID, or by an administrator's word. */
export const isTheHost = (system: BmcSystem, access: Pick<BmcAccess, 'machine_uuid' | 'accepted'>): boolean =>
  isProven(isSameMachine(system, access.machine_uuid), system, access.accepted);
