/**
 * `npm run bench`: our figures beside OpenStack's. Starts a simulated cloud of ten hosts as separate processes (durable
 * PostgreSQL, one control process, one process with the fleet), lets the load driver work against its public APIs and
 * prints the table. With OS_AUTH_URL set it measures that cloud instead and starts none.
 *
 *   npm run bench -- [--strict] [--json FILE] [--rounds N] [--hosts N] [--keep] [--profile DIRECTORY] [--beside COMMIT|none] [work …]
 *
 * Works: single keystone neutron nova glance by default, and swift (objects). single is what one machine does, beside another commit, the last landed
 * where none is given (single.ts); nova1000 grows to 1,000 servers; bytes moves images of 64 MiB, with --beside COMMIT in turns with
 * that commit's cloud (bytes.ts); scale, alone, shows what growth costs (docs/scale.md), with --quick at two sizes, at one --size HOSTSxSERVERS or more, with --beside COMMIT under it (scale.ts);
 * lists, alone, is a page of a project with 10,000 servers, with --beside COMMIT in turns with that commit's (lists.ts); cache, alone, is how fast a volume's cache answers to heat (cache.ts); volumes, alone and as root, is how fast volumes come about, with --beside COMMIT in turns with that commit's, and what they cost their guests, which --quick leaves out (volumes.ts); capture, alone and as root, is how fast a server's disk becomes an image (capture.ts). data-plane, alone and as root,
 * is how soon what is asked for is so for packets, with --beside COMMIT in turns with that commit's control (data-plane.ts). --strict: exit code 1 where a target is missed. --profile: CPU profiles of control
 * and fleet. --keep leaves logs and data behind.
 */
import { spawn } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { mallocSettings } from '../../cli/process/definitions.ts';
import { type CloudProcesses, loadedFlags, startCloudProcesses } from '../../test/support/cloud-processes.ts';
import { OpenStack } from '../../test/support/openstack.ts';
import { rawImage } from '../../test/support/small-image.ts';
import { besideCommit, lastLanded } from './beside.ts';
import { type BytesReport, benchBytes } from './bytes.ts';
import { benchCache } from './cache.ts';
import { benchCapture } from './capture.ts';
import { benchDataPlane } from './data-plane.ts';
import { benchLists } from './lists.ts';
import { compare, type LoadResult } from './report.ts';
import { benchScale, quickSizes, sizes } from './scale.ts';
import type { Size } from './scale-fill.ts';
import { benchSingle, type SingleReport } from './single.ts';
import { benchVolumes } from './volumes.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    strict: { type: 'boolean', default: false },
    json: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    hosts: { type: 'string', default: '10' },
    keep: { type: 'boolean', default: false },
    profile: { type: 'string' },
    quick: { type: 'boolean', default: false },
    beside: { type: 'string' },
    size: { type: 'string', multiple: true },
  },
});
const wanted = positionals.length > 0 ? positionals : ['single', 'keystone', 'neutron', 'nova', 'glance'];
/** For the load driver; the others are measured here. */
const works = wanted.filter((work) => work !== 'bytes' && work !== 'single');
// Signals end the driver and, by the disposal that follows, the cloud.
const ending = new AbortController();
/** Targets of what is measured here. */
const missedHere: string[] = [];
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort());
process.exitCode = await main();

async function main(): Promise<number> {
  if (wanted.includes('scale')) {
    const all = values.size ? values.size.map(sizeOf) : values.quick ? quickSizes : sizes;
    console.log(
      `\n${await benchScale(all, { ...{ rounds: Number(values.rounds), beside: values.beside }, signal: ending.signal, controlFlags: profileFlags() })}`,
    );
    return 0;
  }
  if (wanted.includes('capture')) {
    console.log(`\n${await benchCapture({ rounds: Number(values.rounds) })}`);
    return 0;
  }
  if (wanted.includes('cache')) return tell(await benchCache());
  if (wanted.includes('lists'))
    return tell(await benchLists({ count: 100 * Number(values.rounds), beside: values.beside }));
  const scratch = mkdtempSync(join(tmpdir(), 'bothy-bench-'));
  try {
    if (wanted.includes('volumes')) {
      const { quick, beside } = values;
      return tell(await benchVolumes({ rounds: Number(values.rounds), flags: profileFlags(), quick, beside, scratch }));
    }
    if (wanted.includes('data-plane'))
      return tell(await benchDataPlane({ rounds: Number(values.rounds), beside: values.beside, scratch }));
    const result = process.env.OS_AUTH_URL ? await drive({}, scratch) : await benchSimulated(scratch);
    if (values.json) writeFileSync(values.json, `${JSON.stringify(result, null, 1)}\n`);
    const { text, missed } = compare(result);
    missed.push(...missedHere);
    if (works.length > 0) console.log(`\n${text}`);
    if (missed.length > 0) console.log(`\ntargets missed: ${missed.join('; ')}`);
    const failed = Object.keys(result.failed).length > 0;
    return failed || (values.strict && missed.length > 0) ? 1 : 0;
  } finally {
    if (!values.keep) rmSync(scratch, { recursive: true, force: true });
  }
}

/** Of a work that is measured alone. */
function tell({ text, missed }: { text: string; missed: string[] }): number {
  console.log(`\n${text}`);
  if (missed.length > 0) console.log(`\ntargets missed: ${missed.join('; ')}`);
  return values.strict && missed.length > 0 ? 1 : 0;
}

type Result = LoadResult & { bytes?: BytesReport; single?: SingleReport };

async function benchSimulated(scratch: string): Promise<Result> {
  const flags = profileFlags();
  const directory = values.keep ? mkdtempSync(join(tmpdir(), 'bothy-bench-cloud-')) : undefined;
  const started = performance.now();
  await using cloud = await startCloudProcesses({
    hosts: Number(values.hosts),
    ...(directory && { directory }),
    controlFlags: flags('control'),
    fleetFlags: flags('fleet'),
  });
  console.log(`simulated cloud of ${values.hosts} hosts in ${seconds(started)} on ${cpus().length} cores`);
  if (directory) console.log(`kept in ${directory}`);
  await prepare(cloud);
  printMemory('fresh', cloud);
  const environment = { ...cloud.environment, NODE_EXTRA_CA_CERTS: cloud.caFile, BENCH_RUN_DIR: cloud.pidDirectory };
  const single = wanted.includes('single') ? await benchBeside(cloud, scratch) : undefined;
  const bytes = wanted.includes('bytes') ? await benchBytesBeside(cloud, scratch) : undefined;
  const reports = { ...(single && { single }), ...(bytes && { bytes }) };
  if (works.length === 0) return { metrics: {}, failed: {}, ...reports };
  const result = await drive(environment, scratch);
  printMemory('after the load', cloud);
  return { ...result, ...reports };
}

/** Images' bytes, in turns with another commit's cloud where one is asked for. */
async function benchBytesBeside(cloud: CloudProcesses, scratch: string): Promise<BytesReport> {
  await using stack = new AsyncDisposableStack();
  const clouds = [cloud];
  const names = ['here'];
  if (values.beside !== undefined && values.beside !== 'none') {
    const { name, startCloudProcesses: start } = await besideCommit(values.beside, join(scratch, 'beside-bytes'));
    const other = stack.use(await start({ hosts: Number(values.hosts) }));
    await prepare(other);
    clouds.push(other);
    names.push(`beside ${name}`);
  }
  const results = await benchBytes(clouds, { scratch, count: 10 * Number(values.rounds) });
  for (const [index, { text }] of results.entries()) console.log(`\n${names[index]}\n${text}`);
  return results[0]!.report;
}

/** One machine's figures, with a cloud of another commit beside unless `--beside none` is asked for. */
async function benchBeside(cloud: CloudProcesses, scratch: string): Promise<SingleReport> {
  const { beside = lastLanded() } = values;
  await using stack = new AsyncDisposableStack();
  const clouds = [cloud];
  if (beside !== 'none') {
    const { name, startCloudProcesses: start } = await besideCommit(beside, join(scratch, 'beside'));
    console.log(`beside ${name}`);
    // The same settings for both, also where the other commit would have chosen none.
    Object.assign(process.env, mallocSettings);
    const other = stack.use(
      await start({ hosts: Number(values.hosts), controlFlags: loadedFlags, fleetFlags: loadedFlags }),
    );
    await prepare(other);
    clouds.push(other);
  }
  const { report, text, missed } = await benchSingle(clouds, { rounds: Number(values.rounds) });
  console.log(`\n${text}`);
  missedHere.push(...missed);
  return report;
}

/** The image that servers boot from. Quotas go away: the driver's work is larger than a new project's. */
async function prepare(cloud: CloudProcesses): Promise<void> {
  const client = new pg.Client({ connectionString: cloud.databaseUrl });
  await client.connect();
  await client.query('update quota set maximum = -1 where project_id is null');
  await client.end();
  const openstack = new OpenStack({ authUrl: cloud.environment.OS_AUTH_URL!, caFile: cloud.caFile });
  await openstack.login({ name: 'admin', password: cloud.adminPassword, project: 'admin' });
  const image = { name: 'tiny', disk_format: 'raw', container_format: 'bare', visibility: 'public' };
  const { id } = await openstack.must('POST', 'image', '/v2/images', image);
  const answer = await openstack.call('PUT', 'image', `/v2/images/${id}/file`, rawImage(), {
    'content-type': 'application/octet-stream',
  });
  if (answer.status !== 204) throw new Error(`the image could not be uploaded: ${JSON.stringify(answer)}`);
  openstack.close();
}

/** Runs the load driver to its end and reads its figures. */
async function drive(environment: Record<string, string>, scratch: string): Promise<LoadResult> {
  const out = join(scratch, 'result.json');
  const child = spawn(process.execPath, [join(import.meta.dirname, 'openstack-load.mjs'), ...works], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, BENCH_ROUNDS: values.rounds, ...environment, BENCH_OUT: out },
  });
  const stop = () => child.kill();
  ending.signal.addEventListener('abort', stop, { once: true });
  await new Promise<void>((done, failed) => {
    child.once('error', failed);
    child.once('close', (code) => (code === null ? failed(new Error('the load driver was ended')) : done()));
  });
  return JSON.parse(readFileSync(out, 'utf8')) as LoadResult;
}

/** '100x5000': hosts and servers. */
function sizeOf(text: string): Size {
  const [hosts, servers] = text.split('x').map(Number);
  return { hosts: hosts!, servers: servers! };
}

function profileFlags(): (name: string) => string[] {
  const directory = values.profile && resolve(values.profile);
  if (!directory) return () => [];
  mkdirSync(directory, { recursive: true });
  for (const old of globSync(join(directory, '*.cpuprofile'))) rmSync(old);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: Node.js puts the process's id there
  const pid = '${pid}';
  return (name) => ['--cpu-prof', `--cpu-prof-dir=${directory}`, `--cpu-prof-name=${name}-${pid}.cpuprofile`];
}

function printMemory(when: string, cloud: CloudProcesses): void {
  const parts = Object.entries(cloud.memoryMiB()).map(([name, mib]) => `${name} ${mib.toFixed(0)}`);
  console.log(`resident memory, ${when} (MiB): ${parts.join(', ')}`);
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}
