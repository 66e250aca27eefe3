/** What a real machine gives a Host: QEMU as processes of an unprivileged user, qemu-img's opinion, the KVM probe. */
import { mkdir } from 'node:fs/promises';
import type { HostConfiguration } from './configuration.ts';
import { chooseAccelerator, openKvmDevice } from './guest/kvm-probe.ts';
import { type GuestUser, ProcessLauncher } from './guest/launcher.ts';
import { acceleratorCacheFile, type HostDependencies } from './host.ts';
import { qemuImgInspector } from './image/inspect.ts';
import { readBootId, readQemuVersion } from './machine-facts.ts';
import { guestsDirectory } from './paths.ts';

export type QemuMachine = Pick<HostDependencies, 'launcher' | 'inspect' | 'bootId' | 'qemuVersion' | 'accelerator'>;

/** @throws where QEMU is not installed */
export async function qemuMachine(
  configuration: Pick<HostConfiguration, 'dataDirectory' | 'runDirectory' | 'guestUser' | 'accelerator'>,
): Promise<QemuMachine> {
  const { dataDirectory, runDirectory, guestUser, accelerator: wish } = configuration;
  const [bootId, qemuVersion] = await Promise.all([readBootId(), readQemuVersion()]);
  const user: GuestUser | undefined = guestUser && {
    ...guestUser,
    groups: wish === 'tcg' ? [] : await openKvmDevice(guestUser),
  };
  await mkdir(runDirectory, { recursive: true, mode: 0o711 });
  return {
    launcher: new ProcessLauncher({ guestsDirectory: guestsDirectory(runDirectory), user }),
    inspect: qemuImgInspector({ user }),
    bootId,
    qemuVersion,
    accelerator: () =>
      chooseAccelerator({
        wish,
        user,
        bootId,
        qemuVersion,
        runDirectory,
        cacheFile: acceleratorCacheFile(dataDirectory),
      }),
  };
}
