/**
 * Removes what a cloud left on the machine. Everything outside of its directories carries its tag in the name, and
 * directories are deleted only where the cloud's marker lies in them. Runs when all processes are down; safe to repeat,
 * the marker goes last.
 */
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { purgeCpuGroups, purgeObjectDisks, purgePools } from '../../host/index.ts';
import { purgeHostNetwork } from '../../host/network/index.ts';
import { CommandError } from '../command.ts';
import type { CloudPaths, Settings } from '../settings.ts';
import { step } from '../terminal.ts';
import { withdrawClientConfig } from './client-config.ts';
import { isCloudDirectory, ofFileSystem, readIdentity } from './identity.ts';
import { cloudLayout } from './layout.ts';

/** Refuses what no cloud's data directory can be, whatever lies in it. */
export function refuseDangerous(paths: CloudPaths): void {
  const depth = paths.data.split('/').filter((part) => part !== '').length;
  const home = process.env.HOME;
  const system =
    /^\/(bin|boot|dev|etc|lib\w*|proc|root|run|sbin|sys|usr|home|opt|srv|tmp|var|mnt|media)(\/(lib|log|cache|local|tmp|run|share))?$/;
  if (depth < 2 || paths.data === home || system.test(paths.data) || /^\/home\/[^/]+$/.test(paths.data)) {
    throw new CommandError(
      `${paths.data} is no place that a purge may delete`,
      'name the data directory of a cloud with --data',
    );
  }
  if (!isCloudDirectory(paths)) {
    throw new CommandError(
      `${paths.data} has no cloud.json: it is no data directory of Bothy, so nothing in it is deleted`,
      'name the data directory of a cloud with --data',
    );
  }
}

export async function purgeCloud(settings: Settings): Promise<void> {
  refuseDangerous(settings.paths);
  await step('removing network leftovers', async () => {
    const { tag, run } = settings.paths;
    await purgeHostNetwork({ tag, runDirectory: run });
  });
  await step('removing control groups', async () => purgeCpuGroups(settings.paths.tag));
  const identity = readIdentity(settings.paths);
  // Those that lie elsewhere, and what is mounted below the files that go next.
  if (identity) {
    const { hostData } = cloudLayout(settings.paths);
    await step('removing volumes', () => purgePools(hostData, identity));
    await step('removing objects', () => purgeObjectDisks(hostData, identity));
  }
  await step('removing files', async () => {
    const { paths } = settings;
    const { adminPasswordFile } = cloudLayout(paths);
    withdrawClientConfig(join(paths.data, 'ca.pem'));
    rmSync(adminPasswordFile, { force: true });
    rmSync(paths.run, { recursive: true, force: true });
    if (!existsSync(paths.data)) return;
    for (const entry of readdirSync(paths.data)) {
      if (entry !== ofFileSystem && join(paths.data, entry) !== paths.identityFile)
        rmSync(join(paths.data, entry), { recursive: true, force: true });
    }
    rmSync(paths.identityFile, { force: true });
    try {
      rmdirSync(paths.data);
    } catch (error) {
      // A file system of its own is, or was, mounted there: it stays, empty.
      if (!['EBUSY', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  });
}
