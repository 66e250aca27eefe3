/**
 * BMCs of hosts from the command line, on the machine of control, by the cloud's database and its sealing keys. A password comes from a file, the environment or the terminal: never from the command line, which everybody on
 * the machine may read, and it is written nowhere but sealed.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { BmcService } from '../../control/compute/power/index.ts';
import { CommandError } from '../command.ts';
import type { Settings } from '../settings.ts';
import { databaseUrlOf } from './database-url.ts';
import { readIdentity, requireControlHere } from './identity.ts';
import { cloudLayout } from './layout.ts';

export interface Bmcs {
  service: BmcService;
  /** @throws CommandError where there is no such host */
  hostOf(name: string): Promise<{ id: string; name: string }>;
  close(): Promise<void>;
}

/** @throws CommandError where control is not here */
export async function openBmcs(settings: Settings): Promise<Bmcs> {
  const { paths } = settings;
  if (!readIdentity(paths))
    throw new CommandError(`there is no cloud in ${paths.data}`, 'is this the right --data directory?');
  requireControlHere(paths);
  const { sql } = await import('kysely');
  const { Secret } = await import('../../contract/secret.ts');
  const { BmcService } = await import('../../control/compute/power/index.ts');
  const { Sealer } = await import('../../control/identity/index.ts');
  const { Database } = await import('../../control/kit/database/database.ts');
  const keys = readFileSync(cloudLayout(paths).sealingKeysFile, 'utf8').split('\n');
  const sealer = new Sealer(keys.flatMap((key) => (key.trim() ? [new Secret(Buffer.from(key.trim(), 'base64'))] : [])));
  const database = new Database({ url: new Secret(databaseUrlOf(settings)), applicationName: 'bothy bmc' });
  return {
    service: new BmcService({ database, sealer }),
    async hostOf(name) {
      const { rows } = await sql<{
        id: string;
        name: string;
      }>`select id, name from host where name = ${name} or id::text = ${name}
        order by id::text = ${name} desc limit 1`.execute(database.query);
      if (rows[0]) return rows[0];
      throw new CommandError(`there is no host ${name}`, 'openstack hypervisor list names them');
    },
    close: () => database.close(),
  };
}

/**
 * @param file `-` is what comes in; only the line's end is no part of it
 * @returns undefined: nobody says one
 */
export async function readPassword(file: string | undefined, environment = process.env): Promise<string | undefined> {
  if (file !== undefined) return readFileSync(file === '-' ? 0 : file, 'utf8').replace(/\r?\n$/, '');
  if (environment.BOTHY_BMC_PASSWORD) return environment.BOTHY_BMC_PASSWORD;
  if (process.stdin.isTTY !== true) return undefined;
  process.stdout.write('Password of the BMC (nothing: as before): ');
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const prompt = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return (await prompt.question('')) || undefined;
  } finally {
    prompt.close();
    process.stdout.write('\n');
  }
}

/** @throws CommandError where it is not meant */
export async function confirmPowerOff(host: string): Promise<void> {
  if (process.stdin.isTTY !== true) throw new CommandError(`this would turn ${host} off`, 'add --yes to mean it');
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await prompt.question(`Turn ${host} off? Type its name: `);
  prompt.close();
  if (answer.trim() !== host) throw new CommandError('nothing was turned off', 'type the name of the host to mean it');
}
