/**
 * The native dialect's faults: {"error": {"code", "reason", "message", "details"}}; code and reason are our own, the details are
 * the reason's fields. What this dialect itself refuses has no reason.
 */
import type { SentenceTable } from '../../contract/errors.ts';
import type { ConsolidationReasons } from '../../control/compute/consolidation/reasons.ts';
import type { PowerReasons } from '../../control/compute/power/reasons.ts';
import type { HostRemovalReasons, ReserveReasons } from '../../control/compute/reasons.ts';
import type { HostReasons } from '../../control/host/reasons.ts';
import type { HostTokenReasons } from '../../control/host/token/reasons.ts';
import type { ChangeReasons, KitReasons } from '../../control/kit/reasons.ts';
import type { MeterReasons } from '../../control/network/meter/reasons.ts';
import type { ReachabilityReasons } from '../../control/network/reachability/reasons.ts';
import type { ReachabilityAssertionReasons } from '../../control/network/reachability-assertion/reasons.ts';
import type { StoragePoolReasons } from '../../control/storage/pool/reasons.ts';
import type { Fault, FaultForm } from '../openstack/common/faults.ts';
import { hostSentences, kitSentences } from '../openstack/common/sentences.ts';

const whyExpired = {
  another_database: 'the database is another one since',
  older_than_kept: 'it is older than what is kept',
  in_the_future: 'it lies in the future',
};

const whyNoToken = {
  unknown: 'the token is none of this cloud, or was taken back',
  expired: 'the token is over: it was good for an hour',
  used: 'the token has been used: each is good for one machine',
};

const bmcTrouble = {
  unreachable: 'the BMC does not answer',
  untrusted: 'the BMC is not the one that is believed',
  denied: 'the BMC does not take the user and the password',
  malformed: 'the BMC answers what its protocol does not',
  refused: 'the BMC does not do it',
  ambiguous: 'it is not certain which system of the BMC is the host',
  not_installed: 'IPMI is spoken by ipmitool, which control’s machine does not have (apt install ipmitool)',
};

const listed = (names: readonly string[]): string => names.slice(0, 4).join(', ') + (names.length > 4 ? ', …' : '');

export const nativeSentences: SentenceTable<
  KitReasons &
    ChangeReasons &
    HostReasons &
    HostTokenReasons &
    HostRemovalReasons &
    PowerReasons &
    ConsolidationReasons &
    ReserveReasons &
    StoragePoolReasons &
    ReachabilityReasons &
    ReachabilityAssertionReasons &
    MeterReasons
> = {
  ...kitSentences,
  ...hostSentences,
  host_token_not_found: ({ id }) => `there is no host token ${id}`,
  host_token_refused: ({ why, name }) =>
    why === 'name' ? `the token is good for a host named ${name} only` : whyNoToken[why],
  host_join_name_taken: ({ name }) => `a host of the cloud has the name ${name} already`,
  host_join_address_taken: ({ address, host }) => `host ${host} of the cloud has the address ${address} already`,
  host_join_address_not_reached: ({ address, port, why }) =>
    `control cannot reach the machine at ${address}, port ${port}: ${why}`,
  host_join_version_unfit: ({ version, own }) =>
    `the machine has Bothy ${version}, and the cloud ${own}, which does not speak with it`,
  host_join_clock_off: ({ offset_ms: ms }) =>
    `the clock of the machine is ${(Math.abs(ms) / 1000).toFixed(1)} s ${ms > 0 ? 'ahead of' : 'behind'} that of the cloud`,
  host_carries_servers: ({ host, names }) => `host ${host} has servers (${listed(names)}); delete or move them first`,
  host_is_up: ({ host }) => `host ${host} is up; stop it first`,
  host_in_quarantine: ({ host }) =>
    `host ${host} keeps what the database knows nothing of; settle it with 'bothy recover' first`,
  host_keeps_volumes: ({ host, names }) =>
    `volumes are on the disks of host ${host} (${listed(names)}); delete or move them first`,
  host_keeps_image: ({ host, image }) =>
    `no other host than ${host} has image ${image}; delete it, or have it copied, first`,
  host_keeps_objects: ({ host }) => `objects lie on the disks of host ${host}; delete them first`,
  host_bmc_not_found: ({ id }) => `nobody has said by which BMC host ${id} is turned off and on`,
  no_refuge: ({ id }) =>
    `hosts keep room so that the loss of one is survived, and for server ${id} no host has any left if its own were lost: make room (GET /native/v1/reserve), or let it wait for its host`,
  host_standby_not_found: ({ id }) => `host ${id} is not in standby, or there is none`,
  bmc_address_unserved: ({ scheme }) =>
    scheme === '' || scheme === 'https'
      ? 'the address of a BMC is https://NAME or https://NAME:PORT (Redfish), or ipmi://NAME, and nothing behind that'
      : `a BMC is spoken with by Redfish over https, or by IPMI (ipmi://NAME), not by ${scheme}`,
  bmc_trust_missing: ({ url, fingerprint256 }) =>
    `${url} presents a certificate with the SHA-256 ${fingerprint256}: compare that with what the BMC itself shows, and say it as "fingerprint256", or the "ca" that signed it`,
  bmc_password_missing: ({ host }) =>
    `the password of the BMC of host ${host} is told to no other address or certificate than those that it was said for: say it again`,
  bmc_field_of_redfish: ({ field }) =>
    `IPMI has no "${field}": there are no certificates, and one system behind an address`,
  bmc_field_too_long: ({ field, most }) => `the ${field} of a BMC that speaks IPMI has at most ${most} bytes`,
  bmc_ca_malformed: ({ why }) => `"ca" is no certificate in PEM: ${why}`,
  bmc_of_another_machine: ({ host, uuid }) =>
    `the machine behind the BMC is another one than host ${host}: its UUID is ${uuid}`,
  bmc_unproven: ({ host }) =>
    `nothing shows that the machine behind the BMC is host ${host}: one of both tells no UUID of its own; accept it, if you know that it is (POST …/bmc/accept, bothy bmc accept)`,
  host_power_off_with_servers: ({ host, servers }) =>
    `host ${host} has ${servers} servers, whose guests would end: empty it first (bothy drain), or say force_off`,
  host_power_off_open: ({ host }) =>
    `host ${host} is open, so servers may come to it before it is off: close or empty it first (bothy drain ${host}), or force it`,
  bmc_unusable: ({ kind, why }) => `${bmcTrouble[kind]}: ${why}`,
  authentication_required: 'the request needs a token that is valid',
  resume_token_malformed: 'the resume token is malformed; take one from an earlier answer',
  resume_token_expired: ({ why }) =>
    `the resume token is of no use any more: ${whyExpired[why]}; list anew, then carry on from "resume"`,
  reachability_too_wide: ({ limit }) => `more than ${limit} routers hang together there: too many to look at`,
  reachability_too_many_ranges: ({ limit }) =>
    `the rules there name more than ${limit} ranges of ports: name the port that you ask for`,
  meter_not_found: ({ id }) => `there is no meter of ${id}: nothing of yours has that id, or nothing has passed it yet`,
  reachability_assertion_not_found: ({ id }) => `there is no reachability assertion ${id}`,
  reachability_end_not_found: ({ side, given }) =>
    `"${side}" is ${given}, which is neither an address nor the id of a port or server of yours`,
  reachability_end_ambiguous: ({ address, ports }) =>
    `several of your ports have ${address}: ${ports.join(', ')}; name one of them`,
  reachability_ends_foreign: 'neither end is yours',
  reachability_versions_differ: 'the two ends, or an end and the version asked for, are not of one IP version',
  reachability_protocol_unknown: ({ protocol }) => `there is no IP protocol ${protocol}`,
  reachability_protocol_without_ports: ({ protocol }) => `the protocol ${protocol} has no ports`,
  change_feed_not_started: 'the change feed has not started',
  storage_pool_not_found: ({ id }) => `there is no storage pool ${id}`,
  storage_pool_host_not_found: ({ id }) => `there is no host ${id}`,
  storage_pool_name_taken: ({ name, host, by }) =>
    by === 'settings'
      ? `the settings of host ${host} name a storage pool ${name}, and go before what is declared here`
      : `host ${host} has a storage pool ${name} already`,
  storage_pool_place_taken: ({ source, host, pool }) => `${source} of host ${host} is the storage pool ${pool} already`,
  storage_pool_source_unfit: ({ kind, source }) =>
    kind === 'file-system'
      ? `${source} is no path from the root on, and no UUID=… or LABEL=… of a file system`
      : `${source} is no path from the root on`,
  storage_pool_of_settings: ({ name, host, what }) =>
    `the settings of host ${host} name the storage pool ${name}; ${what} is said there, in storage_pools of its bothy.conf`,
  storage_pool_not_empty: ({ volumes, layers }) =>
    `there are ${volumes} volumes with ${layers} layers in it; close it ("enabled": false) and move or delete them first`,
  storage_pools_too_many: ({ host, most }) =>
    `host ${host} has ${most} storage pools, which is the most that one may have`,
};

export const nativeFaults: FaultForm = {
  sentences: nativeSentences,
  body: ({ code, reason, message, details }: Fault) => ({
    error: { code, ...(reason !== undefined && { reason }), message, details },
  }),
};
