/** What a real machine gives a Host: QEMU as processes of users of their own, qemu-img's opinion, the KVM probe. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostConfiguration } from './configuration.ts';
import type { HostDependencies } from './dependencies.ts';
import { diskKeeper } from './disk/disk-keeper.ts';
import { saveDisk } from './disk/save-disk.ts';
import { chooseAccelerator, openKvmDevice } from './guest/kvm-probe.ts';
import { ProcessLauncher } from './guest/launcher.ts';
import { tpmKeeper } from './guest/tpm.ts';
import { type GuestUser, GuestUsers, inspectorUid } from './guest/users.ts';
import { qemuImgConverter, qemuImgInspector } from './image/inspect.ts';
import { WatchdogGuard } from './lease/guard.ts';
import { probeIoUring, readBootId, readMachineTypes, readQemuVersion } from './machine-facts.ts';
import { resetConnections } from './migration/break.ts';
import { tryWay } from './migration/way.ts';
import { guestsDirectory } from './paths.ts';
import { layerUsers } from './volume/layer-users.ts';
import { qemuLayerTools } from './volume/qemu-tools.ts';

export type QemuMachine = Pick<
  HostDependencies,
  | 'launcher'
  | 'guard'
  | 'guestUsers'
  | 'inspect'
  | 'convert'
  | 'saveDisk'
  | 'keeper'
  | 'layerTools'
  | 'tpm'
  | 'tryWay'
  | 'resetConnections'
  | 'ioUring'
  | 'bootId'
  | 'qemuVersion'
  | 'machineTypes'
  | 'accelerator'
>;

/** @throws where QEMU is not installed */
export async function qemuMachine(
  configuration: Pick<HostConfiguration, 'dataDirectory' | 'runDirectory' | 'guests' | 'accelerator'>,
): Promise<QemuMachine> {
  const { dataDirectory, runDirectory, guests, accelerator: wish } = configuration;
  const [bootId, qemuVersion, machineTypes, ioUring] = await Promise.all([
    readBootId(),
    readQemuVersion(),
    readMachineTypes(),
    probeIoUring(),
  ]);
  const groups = guests && wish !== 'tcg' ? await openKvmDevice(guests) : [];
  const user: GuestUser | undefined = guests && { uid: guests.uid, gid: guests.gid, groups };
  // In the group for the one image that it is shown.
  const inspector = guests && { uid: inspectorUid(guests), gid: inspectorUid(guests), groups: [guests.gid] };
  await mkdir(runDirectory, { recursive: true, mode: 0o711 });
  return {
    guard: new WatchdogGuard({ runDirectory }),
    launcher: new ProcessLauncher({ dataDirectory, guestsDirectory: guestsDirectory(runDirectory), accounts: guests }),
    guestUsers: guests && new GuestUsers(guests, groups, layerUsers),
    inspect: qemuImgInspector(inspector),
    convert: qemuImgConverter(inspector),
    saveDisk,
    keeper: diskKeeper,
    layerTools: qemuLayerTools(inspector),
    tpm: tpmKeeper,
    tryWay,
    resetConnections,
    ioUring,
    bootId,
    qemuVersion,
    machineTypes,
    accelerator: () =>
      chooseAccelerator({
        wish,
        user,
        bootId,
        qemuVersion,
        runDirectory,
        cacheFile: join(dataDirectory, 'accelerator.json'),
      }),
  };
}
