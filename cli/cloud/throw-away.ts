/**
 * A cloud of its own for tests, beside whatever runs on this machine: its data below the temporary folder, its ports
 * chosen by the system, its external network derived from its tag. Removed without a trace at the end.
 */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeWhole } from '../../control/kit/files.ts';
import { sourceRoot } from '../process/definitions.ts';
import { run } from '../run.ts';
import { cloudPaths, type SettingName } from '../settings.ts';
import { freePort } from './free-port.ts';

const bothy = join(sourceRoot, 'bothy');

/** What tests build once and keep, such as guests: it outlives the clouds of single test files. */
export const testCache = join(tmpdir(), 'bothy-test-cache');

/** Of the cloud's settings file, beside those that keep it out of others' way. */
export type ThrowAwaySettings = Partial<Record<SettingName, string>>;

export interface ThrowAwayCloud extends AsyncDisposable {
  data: string;
}

/** Settings that let a cloud live beside others; written before its first start. Answers the data directory. */
export async function reserveCloud(parent = tmpdir(), settings: ThrowAwaySettings = {}): Promise<string> {
  const data = join(mkdtempSync(join(parent, 'bothy-cloud-')), 'data');
  const { tag, settingsFile } = cloudPaths(data);
  const third = (Number.parseInt(tag, 16) % 250) + 5;
  const [port, hostPort, southboundPort] = [await freePort(), await freePort(), await freePort()];
  // The service user must be able to pass.
  mkdirSync(data, { recursive: true, mode: 0o711 });
  await run('chmod', ['711', join(data, '..')]);
  const lines = [
    `port = ${port}`,
    `host_port = ${hostPort}`,
    `southbound_port = ${southboundPort}`,
    `external_cidr = 172.24.${third}.0/24`,
    `external_cidr6 = fd0b:724:${tag}::/64`,
    ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`),
  ];
  writeWhole(settingsFile, `${lines.join('\n')}\n`, { mode: 0o600 });
  return data;
}

/** Reserves and starts one. */
export async function startThrowAwayCloud(settings: ThrowAwaySettings = {}): Promise<ThrowAwayCloud> {
  const data = await reserveCloud(tmpdir(), settings);
  const remove = () => removeCloud(data);
  try {
    await run(bothy, ['up', '--detach', '--data', data], { env: withoutSettings() });
  } catch (error) {
    // What went wrong is told, not that nothing is there to remove.
    await remove().catch(() => {});
    throw error;
  }
  return { data, [Symbol.asyncDispose]: remove };
}

export async function removeCloud(data: string): Promise<void> {
  await run(bothy, ['down', '--purge', '--yes', '--data', data], { env: withoutSettings() });
  await run('rm', ['-rf', join(data, '..')]);
}

/** The caller's settings are for the caller's cloud. */
function withoutSettings(): Record<string, string> {
  return {
    DATABASE_URL: '',
    BOTHY_PORT: '',
    BOTHY_HOST_PORT: '',
    BOTHY_SOUTHBOUND_PORT: '',
    BOTHY_EXTERNAL_CIDR: '',
    BOTHY_EXTERNAL_CIDR6: '',
    BOTHY_PUBLIC_URL: '',
  };
}
