/**
 * What a server's machine has beyond its size, as its image's properties and its flavor's extra specs ask (Nova's names). Each is
 * honoured, or refused by its name: nobody believes to have what is not there. Decided when the server is made, rebuilt or resized,
 * and kept in its row, with what the image asked for: an image that changes later changes no server. Pure.
 */
import { CloudError } from '../../../contract/errors.ts';
import type { GuestHardware } from '../../../contract/host/index.ts';
import type { CardLimits } from '../../network/port/tables.ts';
import { hostWishOf } from '../placement/host-wish.ts';
import type { UnservedWhy } from '../reasons.ts';
import { asksFor, extraSpecs, unservedWhy } from './extra-specs.ts';
import { hostReader } from './host-readers.ts';
import { askingFamilies, imageProperties, legacyNames, unservedProperty } from './image-properties.ts';
import type { ServerHardware } from './server-hardware.ts';
import { type Asked, Unserved } from './values.ts';

export type Texts = Readonly<Record<string, string>>;

/** @throws CloudError `invalid` that names what is not served */
export function hardwareOf(properties: Texts, flavor: { vcpus: number; extra_specs: Texts }): ServerHardware {
  const image = knownProperties(properties);
  const asked: Asked = {};
  read('image', image, imageProperties, asked);
  // What both say the flavor decides: it is the operator's.
  const specs = askingSpecs(flavor.extra_specs);
  read('flavor', specs, extraSpecs, asked);
  const {
    limits = {},
    cards = {},
    cpu = {},
    tpmModel,
    tpmVersion,
    secureBoot,
    input,
    tablet,
    videoRamMaxMiB,
    rngBytes,
    rngPeriodMs,
    cpuShares,
    cpuPeriodUs,
    cpuQuotaUs,
    host = [],
    ...plain
  } = asked;
  const refuse = (name: string, value: string) => {
    const spec = name.includes(':') ? name : name.replace('_', ':');
    const of = Object.hasOwn(image, name) ? 'image' : 'flavor';
    return new CloudError('invalid', 'hardware_unserved', {
      of,
      name: of === 'image' ? name : spec,
      value,
      why: 'beside',
    });
  };
  const topology = topologyOf(flavor.vcpus, cpu);
  if ((plain.videoRamMiB ?? 0) > (videoRamMaxMiB ?? 0) || !hasVideoRam(plain))
    throw refuse('hw_video_ram', String(plain.videoRamMiB));
  const alone = limitedTwice(limits) ?? burstAlone(cards);
  if (alone) throw refuse(alone, String(specs[alone]));
  if (secureBoot === 'required' && plain.firmware !== 'uefi') throw refuse('os_secure_boot', secureBoot);
  const secure = secureBoot !== undefined && secureBoot !== 'disabled' && plain.firmware === 'uefi';
  return {
    ...plain,
    ...(secure && { firmware: 'uefi-secure' as const }),
    ...tpmOf({ tpmModel, tpmVersion }, refuse),
    ...(tablet && { pointer: input ?? ('usb' as const) }),
    ...(topology && { topology }),
    ...(rngBytes !== undefined && { rng: { bytes: rngBytes, periodMs: rngPeriodMs ?? 1000 } }),
    ...cpuLimitsOf({ cpuShares, cpuPeriodUs, cpuQuotaUs }),
    ...(Object.keys(limits).length > 0 && { diskLimits: { ...noLimits, ...limits } }),
    ...cardLimitsOf(cards),
    ...(host.length > 0 && { host_wish: hostWishOf(host) }),
    ...agentOf(properties, plain.guest_agent),
    ...(Object.keys(image).length > 0 && { image }),
  };
}

/** As in Nova: a version alone means the older interface, a model alone nothing. */
function tpmOf(
  { tpmModel: model, tpmVersion: version }: Pick<Asked, 'tpmModel' | 'tpmVersion'>,
  refuse: (name: string, value: string) => CloudError,
): Pick<ServerHardware, 'tpm'> {
  if (model !== undefined && version === undefined) throw refuse('hw_tpm_model', model);
  if (model === 'tpm-crb' && version === '1.2') throw refuse('hw_tpm_version', version);
  return version === undefined ? {} : { tpm: { model: model ?? 'tpm-tis', version } };
}

/** For another flavor: what the image asked for stays. @throws CloudError `invalid` */
export function resizedHardware(before: ServerHardware, flavor: { vcpus: number; extra_specs: Texts }): ServerHardware {
  const { guest_agent, admin_user } = before;
  return {
    ...(guest_agent && { guest_agent }),
    ...hardwareOf(before.image ?? {}, flavor),
    ...(admin_user !== undefined && { admin_user }),
  };
}

/** What its host is told. */
export function hardwareDocument({
  guest_agent,
  admin_user: _,
  machine_type: __,
  card_limits: ___,
  host_wish: _____,
  image: ____,
  ...same
}: ServerHardware): GuestHardware {
  return { guestAgent: guest_agent ?? false, ...same };
}

/** What a document of its host says of it, where the row is lost. */
export const recoveredHardware = ({ guestAgent, ...same }: GuestHardware = {}): ServerHardware => ({
  ...(guestAgent && { guest_agent: true }),
  ...same,
});

const noLimits = { bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };

/** A quota of a whole period or more limits nothing: no processor runs longer than time does. */
function cpuLimitsOf({
  cpuShares: shares,
  cpuPeriodUs: periodUs = 100_000,
  cpuQuotaUs: quotaUs = Number.POSITIVE_INFINITY,
}: Pick<Asked, 'cpuShares' | 'cpuPeriodUs' | 'cpuQuotaUs'>): Pick<ServerHardware, 'cpuLimits'> {
  const limited = quotaUs < periodUs;
  if (shares === undefined && !limited) return {};
  return { cpuLimits: { ...(shares !== undefined && { shares }), ...(limited && { quotaUs, periodUs }) } };
}

function agentOf(
  { os_admin_user: user, os_type: type = '' }: Texts,
  agent: boolean | undefined,
): Pick<ServerHardware, 'admin_user'> {
  return agent ? { admin_user: user || (type.toLowerCase() === 'windows' ? 'Administrator' : 'root') } : {};
}

/** Under their present names. Nova knows no others: they are free text of the image's owner. */
function knownProperties(properties: Texts): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(properties)) {
    const present = Object.hasOwn(legacyNames, name) ? legacyNames[name]! : name;
    const newer = present !== name && Object.hasOwn(properties, present);
    if (!newer && (askingFamilies.test(present) || Object.hasOwn(imageProperties, present))) found[present] = value;
  }
  return found;
}

/** The others are notes of the operator's. */
const askingSpecs = (specs: Texts): Texts =>
  Object.fromEntries(Object.entries(specs).filter(([name]) => asksFor(name)));

type Readers = Readonly<Record<string, (value: string) => Asked>>;

function read(of: 'image' | 'flavor', texts: Texts, readers: Readers, into: Asked): void {
  for (const [name, value] of Object.entries(texts)) {
    const refused = (why: UnservedWhy, cause?: unknown) => {
      const fields = { of, name: name.slice(0, 255), value: value.slice(0, 255), why };
      return new CloudError('invalid', 'hardware_unserved', fields, { cause });
    };
    const reader = hostReader(of, name) ?? (Object.hasOwn(readers, name) ? readers[name] : undefined);
    if (!reader) throw refused(of === 'flavor' ? unservedWhy(name) : unservedProperty(name));
    try {
      const { limits, cpu, cards, host, ...plain } = reader(value);
      Object.assign(into, plain);
      if (host) into.host = [...(into.host ?? []), ...host];
      if (limits) into.limits = { ...into.limits, ...limits };
      if (cards) into.cards = { ...into.cards, ...cards };
      if (cpu) into.cpu = { ...into.cpu, ...cpu };
    } catch (error) {
      throw error instanceof Unserved ? refused(error.why, error) : error;
    }
  }
}

/** As many sockets as may be, then cores, as Nova chooses. @throws CloudError where none is as was asked */
function topologyOf(vcpus: number, cpu: NonNullable<Asked['cpu']>): ServerHardware['topology'] {
  if (Object.keys(cpu).length === 0) return undefined;
  const fits = (value: number, exact: number | undefined, most: number | undefined) =>
    (exact === undefined || value === exact) && (most === undefined || value <= most);
  for (const sockets of divisors(vcpus)) {
    if (!fits(sockets, cpu.sockets, cpu.maxSockets)) continue;
    const each = vcpus / sockets;
    for (const cores of divisors(each)) {
      const threads = each / cores;
      if (fits(cores, cpu.cores, cpu.maxCores) && fits(threads, cpu.threads, cpu.maxThreads))
        return { sockets, cores, threads };
    }
  }
  throw new CloudError('invalid', 'topology_unserved', { vcpus });
}

/** Largest first. Found in pairs: a flavor may have as many processors as a number can be large. */
function divisors(value: number): number[] {
  const small: number[] = [];
  for (let each = 1; each * each <= value; each++) if (value % each === 0) small.push(each);
  return [...new Set([...small.map((each) => value / each), ...small.toReversed()])];
}

/** A Cirrus card has 4, 8 or 16 MiB, and QEMU does not start with another; what is between powers of two is rounded down. */
const hasVideoRam = ({ video, videoRamMiB: size }: Pick<Asked, 'video' | 'videoRamMiB'>): boolean =>
  video !== 'cirrus' || size === undefined || (size >= 4 && size < 32);

/** QEMU limits the sum of what is read and written, or each of the two: asked for both it does neither. */
function limitedTwice(limits: NonNullable<Asked['limits']>): string | undefined {
  const { bps = 0, bps_rd = 0, bps_wr = 0, iops = 0, iops_rd = 0, iops_wr = 0 } = limits;
  if (bps > 0 && bps_rd + bps_wr > 0) return 'quota:disk_total_bytes_sec';
  return iops > 0 && iops_rd + iops_wr > 0 ? 'quota:disk_total_iops_sec' : undefined;
}

/** As libvirt: what may come at once is said of a rate. */
function burstAlone(cards: NonNullable<Asked['cards']>): string | undefined {
  for (const way of ['inbound', 'outbound'] as const)
    if (cards[`${way}Burst`] !== undefined && cards[`${way}Average`] === undefined) return `quota:vif_${way}_burst`;
  return undefined;
}

/**
 * In OVN's units: thousands of bits. Where nothing is said of bursts they are of most of a second, as in Neutron: with less TCP
 * does not come near its rate.
 */
function cardLimitsOf(cards: NonNullable<Asked['cards']>): Pick<ServerHardware, 'card_limits'> {
  const limits: CardLimits = {};
  for (const way of ['inbound', 'outbound'] as const) {
    const [average, burst] = [cards[`${way}Average`], cards[`${way}Burst`]];
    if (average === undefined) continue;
    const rate_kbit = average * 8;
    limits[way] = {
      rate_kbit,
      burst_kbit: Math.ceil(burst === undefined ? rate_kbit * 0.8 : (burst * 8 * 1024) / 1000),
    };
  }
  return Object.keys(limits).length > 0 ? { card_limits: limits } : {};
}
