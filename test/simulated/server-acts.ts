/**
 * What people do to a server, each thing with what comes before it and how it ends, for the crash test of them all. `acts` is total over
 * the actions of control, so the compiler asks for the line of a new one; those of Nova's table on the wire are compared in the test.
 */
import type { ServerId } from '../../contract/ids.ts';
import type { serverActions } from '../../control/compute/server/index.ts';
import type { Tenancy } from '../support/tenancy.ts';
import { until } from '../support/until.ts';

export interface World extends Tenancy {
  larger: string;
  extraGroup: string;
  floatingIp: string;
}

export interface Asking {
  method?: 'DELETE' | 'PUT';
  /** Below the server's own; absent: its actions. */
  path?: string;
  body?: object;
  /** Microversion 2.x. */
  version?: number;
}

export interface Act {
  /** The status in which it ends; gone: there is no server any more. */
  status: string;
  /** From ACTIVE to where it begins. */
  before?: readonly Act[];
  /** Absent: the server is created. */
  ask?: (world: World, id: ServerId) => Asking | Promise<Asking>;
  /** What the server is made with beside what all are. */
  made?: (world: World) => object;
  /** No operation of the server records it: it is asked for again where nobody knows, and may have happened. */
  unrecorded?: true;
}

const post = (status: string, body: object, ...before: Act[]): Act => ({ status, before, ask: () => ({ body }) });

const pause = post('PAUSED', { pause: null });
const suspend = post('SUSPENDED', { suspend: null });
const stop = post('SHUTOFF', { 'os-stop': null });
const rescue = post('RESCUE', { rescue: null });
const resize: Act = {
  status: 'VERIFY_RESIZE',
  ask: ({ larger }) => ({ body: { resize: { flavorRef: larger } } }),
};
const shelve = post('SHELVED', { shelve: null });
const offload = post('SHELVED_OFFLOADED', { shelveOffload: null }, shelve);
/** Where the cloud keeps deleted servers for a while, as the test's does. */
const remove: Act = { status: 'SOFT_DELETED', ask: () => ({ method: 'DELETE', path: '' }) };
const lock = post('ACTIVE', { lock: null });
const attach: Act = {
  status: 'ACTIVE',
  ask: ({ networkId }) => ({ path: '/os-interface', body: { interfaceAttachment: { net_id: networkId } } }),
};
/** Nova's older calls hand volumes on. It goes with the server. */
const attachVolume: Act = {
  status: 'ACTIVE',
  async ask({ client }) {
    const { volume } = await client.must('POST', 'compute', '/os-volumes', { volume: { size: 1 } });
    const status = async () => (await client.must('GET', 'compute', `/os-volumes/${volume.id}`)).volume?.status;
    await until('the volume to be there', async () => (await status()) === 'available');
    const volumeAttachment = { volumeId: volume.id, delete_on_termination: true };
    return { path: '/os-volume_attachments', body: { volumeAttachment }, version: 79 };
  },
};
const ofItsVolume = (asking: (volumeId: string) => Asking): NonNullable<Act['ask']> =>
  async function ask({ client }, id) {
    const { volumeAttachments } = await client.must('GET', 'compute', `/servers/${id}/os-volume_attachments`);
    const { volumeId } = volumeAttachments?.[0] ?? {};
    return { path: `/os-volume_attachments/${volumeId}`, ...asking(volumeId) };
  };
/** It boots from a volume of its own, which goes with it. */
const fromVolume = ({ imageId }: World): object => ({
  imageRef: '',
  block_device_mapping_v2: [
    {
      boot_index: 0,
      source_type: 'image',
      uuid: imageId,
      destination_type: 'volume',
      volume_size: 1,
      delete_on_termination: true,
    },
  ],
});
const detachVolume = ofItsVolume(() => ({ method: 'DELETE' }));
const addFixedAddress: Act = {
  status: 'ACTIVE',
  ask: ({ networkId }) => ({ body: { addFixedIp: { networkId } } }),
};
const addGroup: Act = {
  status: 'ACTIVE',
  ask: ({ extraGroup: name }) => ({ body: { addSecurityGroup: { name } } }),
  unrecorded: true,
};
const addAddress: Act = {
  status: 'ACTIVE',
  ask: ({ floatingIp: address }) => ({ body: { addFloatingIp: { address } } }),
  unrecorded: true,
};

type Name = keyof typeof serverActions;
/** What never begins, while there is nowhere to go: refused, and nothing is left of it. */
export const refused = { migrate: 400, liveMigrate: 400, evacuate: 400 } as const satisfies Partial<
  Record<Name, number>
>;

export const refusals: Record<keyof typeof refused, object> = {
  migrate: { migrate: null },
  liveMigrate: { 'os-migrateLive': { host: null, block_migration: false, disk_over_commit: false } },
  evacuate: { evacuate: { onSharedStorage: false } },
};

export const acts: Record<Exclude<Name, keyof typeof refused>, Act | readonly Act[]> = {
  start: post('ACTIVE', { 'os-start': null }, stop),
  stop,
  softReboot: post('ACTIVE', { reboot: { type: 'SOFT' } }),
  hardReboot: [
    post('ACTIVE', { reboot: { type: 'HARD' } }),
    ...[stop, pause, suspend].map((from) => post('ACTIVE', { reboot: { type: 'HARD' } }, from)),
  ],
  pause,
  unpause: post('ACTIVE', { unpause: null }, pause),
  suspend,
  resume: post('ACTIVE', { resume: null }, suspend),
  lock,
  unlock: post('ACTIVE', { unlock: null }, lock),
  rescue: [rescue, { ...rescue, before: [stop] }],
  unrescue: post('ACTIVE', { unrescue: null }, rescue),
  rebuild: [
    ...[[], [stop]].map((before) => ({
      status: before.length > 0 ? 'SHUTOFF' : 'ACTIVE',
      before,
      ask: ({ imageId }: World) => ({ body: { rebuild: { imageRef: imageId } } }),
    })),
    {
      status: 'ACTIVE',
      made: fromVolume,
      ask: ({ imageId }: World) => ({ body: { rebuild: { imageRef: imageId } }, version: 93 }),
    },
  ],
  resize: [resize, { ...resize, before: [stop] }, { ...resize, made: fromVolume }],
  confirmResize: [
    post('ACTIVE', { confirmResize: null }, resize),
    { ...post('ACTIVE', { confirmResize: null }, resize), made: fromVolume },
  ],
  revertResize: [post('ACTIVE', { revertResize: null }, resize), post('SHUTOFF', { revertResize: null }, stop, resize)],
  shelve: [shelve, { ...shelve, before: [stop] }, { ...shelve, status: 'SHELVED_OFFLOADED', made: fromVolume }],
  shelveOffload: offload,
  unshelve: [
    post('ACTIVE', { unshelve: null }, shelve),
    post('ACTIVE', { unshelve: null }, shelve, offload),
    { ...post('ACTIVE', { unshelve: null }, { ...shelve, status: 'SHELVED_OFFLOADED' }), made: fromVolume },
  ],
  createImage: [
    ...[[], [stop], [suspend]].map((before) => ({
      ...post(before[0]?.status ?? 'ACTIVE', { createImage: { name: 'made' } }),
      before,
    })),
    { ...post('ACTIVE', { createImage: { name: 'made' } }), made: fromVolume },
  ],
  createBackup: post('ACTIVE', { createBackup: { name: 'made', backup_type: 'daily', rotation: 1 } }),
  attachInterface: [attach, { ...attach, status: 'SHUTOFF', before: [stop] }],
  detachInterface: {
    status: 'ACTIVE',
    before: [attach],
    ask: async ({ client }, id) => {
      const { interfaceAttachments } = await client.must('GET', 'compute', `/servers/${id}/os-interface`);
      return { method: 'DELETE', path: `/os-interface/${interfaceAttachments[0].port_id}` };
    },
  },
  attachVolume: [attachVolume, { ...attachVolume, status: 'SHUTOFF', before: [stop] }],
  detachVolume: [
    { status: 'ACTIVE', before: [attachVolume], ask: detachVolume },
    { status: 'SHUTOFF', before: [attachVolume, stop], ask: detachVolume },
  ],
  updateAttachment: {
    status: 'ACTIVE',
    before: [attachVolume],
    ask: ofItsVolume((volumeId) => ({
      method: 'PUT',
      body: { volumeAttachment: { volumeId, delete_on_termination: false } },
      version: 85,
    })),
    unrecorded: true,
  },
  addFixedIp: addFixedAddress,
  removeFixedIp: {
    status: 'ACTIVE',
    before: [addFixedAddress],
    ask: async ({ client }, id) => {
      const { interfaceAttachments } = await client.must('GET', 'compute', `/servers/${id}/os-interface`);
      return { body: { removeFixedIp: { address: interfaceAttachments[0].fixed_ips[0].ip_address } } };
    },
  },
  changePassword: post('ACTIVE', { changePassword: { adminPass: 'geheim' } }),
  triggerCrashDump: { status: 'ACTIVE', ask: () => ({ body: { trigger_crash_dump: null }, version: 17 }) },
  resetState: [
    post('ERROR', { 'os-resetState': { state: 'error' } }),
    post('ACTIVE', { 'os-resetState': { state: 'active' } }, post('ERROR', { 'os-resetState': { state: 'error' } })),
  ],
  remove,
  restore: [[remove], [suspend, remove]].map((before) => post('ACTIVE', { restore: null }, ...before)),
  forceDelete: [[], [remove], [suspend], [rescue], [resize], [shelve, offload]].map((before) =>
    post('gone', { forceDelete: null }, ...before),
  ),
};

/** Beside the server's own actions: its beginning, and what Nova does in the network's name. */
export const otherActs: Record<string, Act | readonly Act[]> = {
  create: [{ status: 'ACTIVE' }, { status: 'ACTIVE', made: fromVolume }],
  addSecurityGroup: addGroup,
  removeSecurityGroup: {
    ...{ ...addGroup, before: [addGroup] },
    ask: ({ extraGroup: name }) => ({ body: { removeSecurityGroup: { name } } }),
  },
  addFloatingIp: addAddress,
  removeFloatingIp: {
    ...{ ...addAddress, before: [addAddress] },
    ask: ({ floatingIp: address }) => ({ body: { removeFloatingIp: { address } } }),
  },
};

/** They change nothing of the server: there is nothing to be found half done. */
export const reading = [
  'os-getConsoleOutput',
  'os-getRDPConsole',
  'os-getSPICEConsole',
  'os-getSerialConsole',
  'os-getVNCConsole',
  'resetNetwork',
  'injectNetworkInfo',
] as const;
