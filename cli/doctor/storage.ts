/** What the host says of its storage pools and object disks and of what lies in them. Changes nothing. */
import type { Host } from '../../host/index.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

type HostHealth = ReturnType<Host['status']>;

const hostLog = 'see: bothy logs host';

export function checkStorage({ facts, layers }: Pick<HostHealth, 'facts' | 'layers'>): Finding[] {
  const disks = (facts.objectDisks ?? []).flatMap(checkObjectDisk);
  return [...(facts.pools ?? []).map(checkPool), ...checkLayers(layers), ...disks];
}

type DiskFacts = NonNullable<HostHealth['facts']['objectDisks']>[number];
type PoolFacts = NonNullable<HostHealth['facts']['pools']>[number];

function checkPool({ name, tier, totalBytes, freeBytes, problem: wrong, declared }: PoolFacts): Finding {
  const check = `storage pool ${name}`;
  const detail = `${tier}, ${gibibytes(freeBytes)} of ${gibibytes(totalBytes)} free`;
  if (wrong === 'it is full') {
    const cure =
      'delete volumes, snapshots, servers or images that lie there, or enlarge it; guests that wait for room go on by themselves';
    return problem(check, `${wrong} (${detail}): nothing is made there, and guests that write to it stand still`, cure);
  }
  if (wrong !== null) {
    const place = declared
      ? 'it was made by API: PUT or DELETE /native/v1/storage-pools/ID'
      : 'or name another place as storage_pools in bothy.conf, then down and up';
    return problem(
      check,
      `nothing is made there: ${wrong}; what caches of volumes hold there, if any do, is nowhere else`,
      `mount its file system or bring its device back; ${place}`,
    );
  }
  if (tier === 'ram')
    return warning(
      check,
      `${detail}; what volumes hold there is lost when this machine restarts`,
      'keep there only what can be lost',
    );
  if (freeBytes < totalBytes / 20) return warning(check, detail, 'make room: guests stand still when it is full');
  return ok(check, detail);
}

function checkObjectDisk({ name, path, totalBytes, freeBytes, problem: wrong, faults = 0 }: DiskFacts): Finding[] {
  const check = `object disk ${name}`;
  const detail = `${path}, ${gibibytes(freeBytes)} of ${gibibytes(totalBytes)} free`;
  const findings = [
    wrong === null
      ? ok(check, detail)
      : problem(
          check,
          `nothing is written there: ${wrong} (${path})`,
          wrong === 'it is full'
            ? 'delete objects, enlarge it, or name another disk beside it as object_disks in bothy.conf, then down and up'
            : 'bring back its file system as it was, or name another disk beside it as object_disks in bothy.conf, then down and up',
        ),
  ];
  if (faults === 0) return findings;
  const told = `${faults} files on it are not what was written; what has a copy elsewhere is read there`;
  return [
    ...findings,
    problem(`${check}, contents`, told, `look after the disk (smartctl); which they are: ${hostLog}`),
  ];
}

function checkLayers({ count, encrypted, busy, quarantined, unclaimed }: HostHealth['layers']): Finding[] {
  const failed = busy.filter(({ state, error }) => state === 'failed' || error !== null);
  const named = failed.slice(0, 3).map(({ id, error }) => `${id}: ${error?.message}`);
  const detail = `${count} ${count === 1 ? 'layer' : 'layers'} of volumes`;
  const findings =
    failed.length === 0
      ? [ok('volumes', detail)]
      : [
          warning(
            'volumes',
            `${detail}; ${failed.length} failed: ${named.join('; ')}`,
            `mend what is named, it is tried again; ${hostLog}`,
          ),
        ];
  if (encrypted > 0) {
    const told = `${encrypted} layers; their keys are in the database alone, sealed: without it nobody reads them again`;
    findings.push(
      warning('encrypted volumes', told, 'keep dumps of the database, and secrets/sealing-keys, on another machine'),
    );
  }
  if (quarantined.length > 0) {
    const told = `${quarantined.length} layers that the database does not account for are kept`;
    findings.push(
      problem('volumes in quarantine', told, 'bothy recover takes them up; bothy recover --list shows them'),
    );
  }
  for (const { pool, files } of unclaimed) {
    const told = `${files.length} files that nobody names, the first ${files[0]}`;
    findings.push(
      warning(`storage pool ${pool}, leftovers`, told, 'nothing needs them; remove them when you are sure'),
    );
  }
  return findings;
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
