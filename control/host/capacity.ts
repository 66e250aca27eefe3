/** What placement may hand out on a host, from what the host says that it has and what administrators say of it. */
import { type RawBuilder, sql } from 'kysely';
import type { HostFacts } from '../../contract/host/index.ts';

/** As Nova's default cpu_allocation_ratio: idle guests are the rule. Memory and disk are not overcommitted. */
export const usualRatios = { vcpus: 16, memory: 1, disk: 1 };
/** For the system, the host process, OVS and OVN; a quarter at most, so that tiny machines can hold a guest too. */
const reservedMiB = 1024;

/** What is kept back of its memory where nobody says otherwise. */
export const usuallyReservedMiB = (memoryMiB: number): number => Math.min(reservedMiB, Math.floor(memoryMiB / 4));

/** Assignments to the columns of its row, by the ratios and reserves that stand there. */
export function capacityColumns({
  cpus,
  memoryMiB,
  diskGiB,
}: Pick<HostFacts, 'cpus' | 'memoryMiB' | 'diskGiB'>): RawBuilder<unknown> {
  const of = (
    total: number,
    ratio: string,
    reserved: string,
    usual: { ratio: number; reserved: number },
    most: number,
  ) =>
    sql`least(${most}::float8, floor(greatest(0, ${total}::bigint - coalesce(${sql.ref(reserved)}, ${usual.reserved}::bigint))
      * coalesce(${sql.ref(ratio)}, ${usual.ratio}::float8)))`;
  const vcpus = of(cpus, 'vcpus_ratio', 'vcpus_reserved', { ratio: usualRatios.vcpus, reserved: 0 }, 2 ** 31 - 1);
  const kept = { ratio: usualRatios.memory, reserved: usuallyReservedMiB(memoryMiB) };
  const memory = of(memoryMiB, 'memory_ratio', 'memory_reserved_mib', kept, Number.MAX_SAFE_INTEGER);
  const disk = of(
    ...([diskGiB, 'disk_ratio', 'disk_reserved_gib', { ratio: usualRatios.disk, reserved: 0 }] as const),
    Number.MAX_SAFE_INTEGER,
  );
  return sql`vcpus = ${vcpus}, memory_mib = ${memory}, disk_gib = ${disk}`;
}
