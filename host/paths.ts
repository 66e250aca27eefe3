/**
 * Where the host keeps what. Below the data directory lies what must last, below the run directory what belongs to a
 * running process; both are the host's alone. A unix socket's path has at most 107 bytes, so the run directory is short.
 *
 *   <data>/desired.json, .log      what control last said, see desired/store.ts
 *   <data>/controls.json           where control processes are, see stream/addresses.ts
 *   <data>/erased                  servers whose disks were erased, see server/erased.ts
 *   <data>/images/files/<id>[.json] stored images and what is known about them; control passes through, guests do not
 *   <data>/images/files/<id>.raw   the raw disk that was made of an image, where guests can't read the image itself
 *   <data>/images/opened/          what each guest reads of them, see opened.ts
 *   <data>/images/incoming/        uploads and fetches under way
 *   <data>/servers/<id>/           one server: record.json, disk.qcow2, rescue.qcow2, ephemeral0-<MiB>.raw, swap-<MiB>.raw, memory, config-drive.iso, firmware-variables.fd, tpm/, console.log, qemu.log
 *   <data>/volumes/, pools.json  the pool of layers that needs no setting, and which pools are this host's, see volume/pool.ts
 *   <data>/layers, layer-outcomes/ which layers were made and erased, and what was made of them, see volume/ledger.ts, volume/outcomes.ts
 *   <data>/meters.json             the last readings of taps that are gone, until control has them, see meter/meters.ts
 *   <data>/receivers/              second copies that take writes, see volume/receive/record.ts
 *   <data>/exports/                volumes that machines outside have, see volume/export/record.ts
 *   <data>/backups/                backups of volumes, where no other directory is named, see volume/backups.ts
 *   <run>/exports/<layer id>/      sockets of a volume's export, see volume/export/exports.ts
 *   <run>/lease/                   when the lease ends, and which guests end with it, see lease/guard.ts
 *   <run>/guests/<id>/             its sockets and pid file; see server/ownership.ts for who may do what where
 */
import { join } from 'node:path';
import type { ImageId, ServerId } from '../contract/ids.ts';

export function serverPaths(directories: { dataDirectory: string; runDirectory: string }, id: ServerId) {
  const data = join(directories.dataDirectory, 'servers', id);
  const run = join(directories.runDirectory, 'guests', id);
  return {
    data,
    run,
    record: join(data, 'record.json'),
    disk: join(data, 'disk.qcow2'),
    /** What it boots from while it is rescued. */
    rescueDisk: join(data, 'rescue.qcow2'),
    /** A suspended guest's memory and devices, as QEMU writes them; the host's own: QEMU gets it open. */
    memory: join(data, 'memory'),
    /** Its disk as an image, while one is made. */
    capture: join(data, 'capture.qcow2'),
    /** UEFI's settings, where it boots by UEFI. */
    firmwareVariables: join(data, 'firmware-variables.fd'),
    /** What its TPM knows. */
    tpmState: join(data, 'tpm'),
    configDrive: join(data, 'config-drive.iso'),
    consoleLog: join(data, 'console.log'),
    /** What QEMU itself says, on stderr. */
    qemuLog: join(data, 'qemu.log'),
    qmp: join(run, 'qmp.sock'),
    serial: join(run, 'serial.sock'),
    /** Its screen, as RFB. */
    vnc: join(run, 'vnc.sock'),
    /** The channel to the guest's agent. */
    agent: join(run, 'agent.sock'),
    pid: join(run, 'pid'),
    /** By which QEMU reaches the server's TPM. */
    tpmSocket: join(run, 'tpm.sock'),
    tpmPid: join(run, 'tpm.pid'),
    /** Where QEMU sends the memory when it is saved. */
    memorySocket: join(run, 'memory.sock'),
  };
}
export type ServerPaths = ReturnType<typeof serverPaths>;

export const serversDirectory = (dataDirectory: string) => join(dataDirectory, 'servers');
export const guestsDirectory = (runDirectory: string) => join(runDirectory, 'guests');

/** Where the files of images lie, in the directory for them; no guest may enter it. */
export const imageFilesName = 'files';

export function imagePaths(dataDirectory: string) {
  const images = join(dataDirectory, 'images');
  const files = join(images, imageFilesName);
  return {
    images,
    files,
    incoming: join(images, 'incoming'),
    file: (id: ImageId) => join(files, id),
    facts: (id: ImageId) => join(files, `${id}.json`),
    unpacked: (id: ImageId) => join(files, `${id}.raw`),
  };
}
