/**
 * Everything that must lie on disk before the processes of a cloud start: directories with their owners, identity,
 * certificates, the processes' configuration, the files for clients. Each piece is kept where it is good already, so
 * this is the same work at the first start, at the thousandth, and after an interruption.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { hostStreamPath, portalOf } from '../../contract/host/index.ts';
import type { PasswordPolicy } from '../../control/identity/index.ts';
import { type PropertyRule, parseProtections } from '../../control/image/index.ts';
import { readText, writeIfChanged, writeWhole } from '../../control/kit/files.ts';
import type { LeafFiles } from '../../control/pki/authority.ts';
import { userIds } from '../../engine/process.ts';
import { CommandError } from '../command.ts';
import { guestUser, serviceUser } from '../install/users.ts';
import type { ControlConfiguration, HostConfiguration, LogLevel } from '../process/configuration.ts';
import { portsOf, tunnelCard } from '../setting-checks.ts';
import { list, type Settings, settingsTemplate } from '../settings.ts';
import { addressIn, bracketed, mainAddress } from './addresses.ts';
import { type Certificates, ensureCertificates, ownUrlOf, publicUrlOf } from './certificates.ts';
import { type AccessKeyPair, writeClientFiles } from './client-files.ts';
import { kitConfiguration, readKit } from './control-kit.ts';
import { databaseUrlOf } from './database-url.ts';
import { guestUidsOf } from './guest-uids.ts';
import { type CloudIdentity, ensureIdentity } from './identity.ts';
import { cloudLayout } from './layout.ts';
import { namespaceOf } from './namespace.ts';
import { networkBandwidths } from './network-bandwidth.ts';
import { objectDisks } from './object-disks.ts';
import { storagePools } from './storage-pools.ts';
import { vendorCaOf, vendorDataOf, vendorTargets } from './vendor-data.ts';
import { bothyVersion } from './version.ts';

export interface PreparedCloud {
  identity: CloudIdentity;
  publicUrl: string;
}

export async function prepareCloud(settings: Settings): Promise<PreparedCloud> {
  const { paths } = settings;
  const layout = cloudLayout(paths);
  makeDirectories(settings);
  const identity = ensureIdentity(paths);
  writeIfChanged(layout.namespaceFile, `${namespaceOf('self')}\n`, { mode: 0o644 });
  if (readText(paths.settingsFile) === undefined) {
    writeWhole(paths.settingsFile, settingsTemplate(), { mode: 0o600 });
  }
  const publicUrl = identity.joined?.controlUrl ?? (await publicUrlOf(settings));
  const certificates = await ensureCertificates(settings, identity, publicUrl);
  const caFile = join(paths.data, 'ca.pem');
  writeIfChanged(layout.hostConfiguration, json(await hostConfiguration({ settings, identity, certificates })), {
    mode: 0o600,
  });
  writeIfChanged(caFile, readText(certificates.ca) ?? '', { mode: 0o644 });
  const kit = identity.joined && readKit(settings);
  if (kit) writeControlConfiguration(settings, kitConfiguration(settings, identity, kit));
  if (certificates.api)
    await prepareControl({ settings, identity, publicUrl, api: certificates.api, ca: certificates.ca, caFile });
  return { identity, publicUrl };
}

/** What control is told, and the files for clients. */
async function prepareControl({
  caFile,
  ...given
}: Omit<Facts, 'adminPassword' | 'accessKey' | 'sealingKeys' | 'ownUrl'> & { caFile: string }): Promise<void> {
  const { settings, publicUrl } = given;
  const { paths, values } = settings;
  const layout = cloudLayout(paths);
  const accessKey = ensureAccessKey(layout);
  const adminPassword = ensurePassword(layout.adminPasswordFile);
  const sealingKeys = ensureSealingKeys(layout.sealingKeysFile);
  const ownUrl = await ownUrlOf(settings);
  writeControlConfiguration(
    settings,
    controlConfiguration({ ...given, adminPassword, accessKey, sealingKeys, ownUrl }),
  );
  writeClientFiles(paths.data, { publicUrl, region: values.region, adminPassword, accessKey, caFile });
}

function writeControlConfiguration({ paths }: Settings, configuration: ControlConfiguration): void {
  const file = cloudLayout(paths).controlConfiguration;
  writeIfChanged(file, json(configuration), { mode: 0o600, owner: userIds(serviceUser) });
}

interface Facts {
  settings: Settings;
  identity: CloudIdentity;
  publicUrl: string;
  ownUrl: string;
  api: LeafFiles;
  ca: string;
  adminPassword: string;
  accessKey: AccessKeyPair | undefined;
  sealingKeys: string[];
}

const passwordPolicyOf = ({ values }: Settings): PasswordPolicy => ({
  pattern: values.password_pattern,
  patternDescription: values.password_pattern_description,
  days: Number(values.password_days),
  minimumDays: Number(values.password_minimum_days),
  unique: Number(values.password_unique),
  changeFirst: values.password_change_first === 'yes',
  lockoutAttempts: Number(values.lockout_attempts),
  lockoutSeconds: Number(values.lockout_seconds),
  inactiveDays: Number(values.inactive_days),
});

/** @throws CommandError where the file can't be read, or says something else */
function protectionsOf({ values: { property_protections: file } }: Settings): PropertyRule[] {
  if (file === '') return [];
  try {
    return parseProtections(readFileSync(file, 'utf8'));
  } catch (error) {
    const cure = 'mend the file, or empty property_protections in bothy.conf';
    throw new CommandError(`the property protections in ${file} can't be used: ${(error as Error).message}`, cure);
  }
}

const externalOf = ({ values }: Settings) => ({
  physicalNetwork: values.physical_network,
  cidr: values.external_cidr,
  gateway: addressIn(values.external_cidr, 1),
  cidr6: values.external_cidr6,
  gateway6: addressIn(values.external_cidr6, 1),
});

function controlConfiguration({
  settings,
  identity,
  publicUrl,
  ownUrl,
  api,
  ca,
  adminPassword,
  accessKey,
  sealingKeys,
}: Facts): ControlConfiguration {
  const { paths, values } = settings;
  const layout = cloudLayout(paths);
  return {
    cloudId: identity.cloudId,
    region: values.region,
    logLevel: values.log_level as LogLevel,
    databaseUrl: databaseUrlOf(settings),
    listen: { address: values.listen, port: Number(values.port) },
    publicUrl,
    ownUrl,
    tls: { certificate: api.certificate, key: api.key, ca },
    sealingKeys,
    passwordPolicy: passwordPolicyOf(settings),
    trustedDashboards: list(values.trusted_dashboards),
    placementPolicy: values.placement_policy as 'spread' | 'pack',
    rebalance: values.rebalance as 'off' | 'propose' | 'do',
    rebalanceAfterSeconds: Number(values.rebalance_after),
    ...(values.host_watts_max !== '0' && {
      wattsModel: { idle: Number(values.host_watts_idle), max: Number(values.host_watts_max) },
    }),
    consolidate: values.consolidate as 'off' | 'propose' | 'do',
    consolidateAfterSeconds: Number(values.consolidate_after),
    reclaimSeconds: Number(values.reclaim_instance_interval),
    shelvedOffloadSeconds: Number(values.shelved_offload_time),
    confirmSeconds: Number(values.resize_confirm_window),
    imageCopies: Number(values.image_copies),
    objectCopies: Number(values.object_copies),
    imageProtections: protectionsOf(settings),
    imageImport: {
      ranges: list(values.import_from),
      ports: list(values.import_ports).map(Number),
    },
    retention: { changeLogDays: Number(values.change_log_days), operationDays: Number(values.operation_days) },
    southboundPort: Number(values.southbound_port),
    bothyVersion: bothyVersion(),
    northbound: layout.northbound,
    healthSocket: layout.controlHealthSocket,
    localHost: { id: identity.hostId, name: hostname(), socket: layout.hostSocket },
    bootstrap: { adminPassword, ...(accessKey && { accessKey }), external: externalOf(settings) },
  };
}

interface HostFacts {
  settings: Settings;
  identity: CloudIdentity;
  certificates: Certificates;
}

async function hostConfiguration({ settings, identity, certificates }: HostFacts): Promise<HostConfiguration> {
  const { paths, values } = settings;
  const { joined } = identity;
  const tunnels = tunnelCard(values.tunnels);
  const layout = cloudLayout(paths);
  return {
    cloudId: identity.cloudId,
    hostId: identity.hostId,
    hostName: joined?.hostName ?? hostname(),
    tag: paths.tag,
    logLevel: values.log_level as LogLevel,
    bothyVersion: bothyVersion(),
    controlUrl: `${(joined?.controlUrl ?? `https://${localAddress(values.listen)}:${values.port}`).replace(/^https/, 'wss')}${hostStreamPath}`,
    listen: { address: values.listen, port: Number(values.host_port) },
    url: `https://${bracketed(joined?.address ?? (await mainAddress()) ?? '127.0.0.1')}:${values.host_port}`,
    socket: layout.hostSocket,
    tls: { certificate: certificates.host.certificate, key: certificates.host.key, ca: certificates.ca },
    dataDirectory: layout.hostData,
    runDirectory: paths.run,
    logDirectory: paths.log,
    guestUser,
    guestUids: guestUidsOf(settings),
    controlUser: serviceUser,
    accelerator: values.accelerator as HostConfiguration['accelerator'],
    datapath: values.datapath as HostConfiguration['datapath'],
    quarantinedGuests: values.quarantined_guests as HostConfiguration['quarantinedGuests'],
    storage: storageOf(settings),
    objects: objectsOf(settings),
    migrationPorts: portsOf(values.migration_ports)!,
    southbound: joined?.southbound ?? layout.southbound,
    ...(!joined && { authority: paths.data }),
    ...(tunnels && { tunnels }),
    vendorData: vendorDataOf(values.vendor_data),
    vendorServices: {
      targets: vendorTargets(values.vendor_data_services) ?? [],
      ca: vendorCaOf(values.vendor_data_ca),
    },
    uplink: joined ? 'none' : (values.uplink as HostConfiguration['uplink']),
    dnsServers: list(values.dns_servers),
    bandwidths: networkBandwidths(values.network_bandwidth) ?? [],
    external: joined ? joinedExternalOf(settings) : { interface: values.external_interface, ...externalOf(settings) },
  };
}

/**
 * A machine that has joined is on the external network by a card, or not at all. It has no address there, which routers' next hop has that is
 * another machine: so there is no way out behind it either (`uplink`).
 */
function joinedExternalOf({ values }: Settings): HostConfiguration['external'] {
  const { external_interface: card, physical_network: name } = values;
  return { interface: card, physicalNetwork: card === '' ? '' : name, cidr: '', gateway: '', cidr6: '', gateway6: '' };
}

function objectsOf({ values }: Settings): HostConfiguration['objects'] {
  const disks = objectDisks(values.object_disks);
  return disks ? { disks } : {};
}

function storageOf({ values }: Settings): HostConfiguration['storage'] {
  const pools = storagePools(values.storage_pools);
  const iscsiPortal = portalOf(values.iscsi_portal);
  return {
    ...(pools && { pools }),
    percentages: {
      promised: Math.round(Number(values.storage_over_provision) * 100),
      reserved: Number(values.storage_reserved),
    },
    ...(values.backup_directory !== '' && { backupDirectory: values.backup_directory }),
    ...(iscsiPortal && { iscsiPortal }),
  };
}

function makeDirectories({ paths }: Settings): void {
  const layout = cloudLayout(paths);
  const service = userIds(serviceUser);
  try {
    // Others may pass through (PostgreSQL runs as another user) but see no names.
    mkdirSync(paths.data, { recursive: true, mode: 0o711 });
    // Before anything else is made: it refuses a directory that is not ours.
    ensureIdentity(paths);
    mkdirSync('/run/bothy', { recursive: true, mode: 0o755 });
    mkdirSync(paths.run, { recursive: true, mode: 0o755 });
    chmodSync(paths.data, 0o711);
    for (const directory of [paths.log, layout.hostData, paths.cache])
      mkdirSync(directory, { recursive: true, mode: 0o711 });
    for (const directory of [layout.secrets]) mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const directory of [layout.controlRun, layout.controlCache, layout.ovnData]) {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      chownSync(directory, service.uid, service.gid);
    }
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    const cure = code === 'ENOSPC' ? 'make room on the disk' : 'name a directory that root may write to with --data';
    throw new CommandError(`cannot make the directory ${path ?? paths.data} (${code})`, cure, { cause: error });
  }
}

/** Of a cloud that had its first start without one there is none: its administrator makes one. */
function ensureAccessKey({ adminAccessKeyFile: file, adminPasswordFile }: ReturnType<typeof cloudLayout>) {
  const known = readText(file);
  if (known !== undefined) return JSON.parse(known) as AccessKeyPair;
  if (existsSync(adminPasswordFile)) return undefined;
  const made: AccessKeyPair = { access: randomBytes(16).toString('hex'), secret: randomBytes(16).toString('hex') };
  writeWhole(file, json(made), { mode: 0o600 });
  return made;
}

function ensurePassword(file: string): string {
  const known = readText(file)?.trim();
  if (known !== undefined && known !== '') return known;
  const password = randomBytes(18).toString('base64url');
  writeWhole(file, `${password}\n`, { mode: 0o600 });
  return password;
}

/**
 * The keys that seal credentials in the database, one a line in base64. A new one is put on top by hand (`openssl rand -base64
 * 32`): it seals from then on, the older ones open what they sealed. Without this file a copy of the database tells no secret.
 */
function ensureSealingKeys(file: string): string[] {
  const known = (readText(file) ?? '').split('\n').flatMap((line) => line.trim() || []);
  if (known.length > 0) return known;
  const key = randomBytes(32).toString('base64');
  writeWhole(file, `${key}\n`, { mode: 0o600 });
  return [key];
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

function localAddress(listen: string): string {
  if (listen === '::' || listen === '0.0.0.0') return '127.0.0.1';
  return bracketed(listen);
}
