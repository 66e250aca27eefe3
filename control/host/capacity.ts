/** What placement may hand out on a host, from what the host says that it has. Pure. */
import type { HostFacts } from '../../contract/host/index.ts';

export interface Capacity {
  vcpus: number;
  memoryMiB: number;
  diskGiB: number;
}

/** As Nova's default cpu_allocation_ratio: idle guests are the rule. Memory and disk are not overcommitted. */
const vcpusPerCpu = 16;
/** For the system, the host process, OVS and OVN; a quarter at most, so that tiny machines can hold a guest too. */
const reservedMiB = 1024;

export function capacityOf(facts: HostFacts): Capacity {
  return {
    vcpus: facts.cpus * vcpusPerCpu,
    memoryMiB: facts.memoryMiB - Math.min(reservedMiB, Math.floor(facts.memoryMiB / 4)),
    diskGiB: facts.diskGiB,
  };
}
