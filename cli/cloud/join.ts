/**
 * Makes this machine a host of a cloud that runs elsewhere (docs/decisions/0015-join.md). Owns nothing but what a data directory of a host has. Until the
 * cloud has answered nothing is changed but for the machine's key (`joining.key`), which a refusal of its first try takes away again; stopped on any
 * line after that, the same command goes on: it asks again with that key and gets the same answer.
 */
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, rmdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { agree, hostProtocol } from '../../contract/host/index.ts';
import { greeting, parseToken } from '../../control/host/token/index.ts';
import { readText, writeWhole } from '../../control/kit/files.ts';
import { CommandError } from '../command.ts';
import { type CloudPaths, dataArgument, type Settings } from '../settings.ts';
import { bracketed } from './addresses.ts';
import { askControl, type ControlAnswer, refusalOf } from './control-client.ts';
import { checkGuestUids } from './guest-uids.ts';
import { joiningKey, readIdentity, requireUsable, writeIdentity } from './identity.ts';
import { cloudLayout } from './layout.ts';
import { requireAlone } from './namespace.ts';
import { checkCards, checkDisk, checkPorts } from './preflight.ts';
import { requireTunnelEnds, type TunnelEnd } from './try-tunnels.ts';
import { requireTunnels } from './tunnels.ts';
import { bothyVersion } from './version.ts';

/** By which this machine's clock may be off; control looks again, more finely. */
const clockMs = 6000;

export interface JoinArguments {
  /** Of control, e.g. https://192.0.2.7:8443. */
  url: string;
  token: string;
  name: string;
}

interface CloudSeen {
  /** The root that the token names, and no other certificate: whoever answers first may say several. */
  ca: string;
  cloudId: string;
  local: string;
  remote: string;
}

/** For tests: where the process may die. */
export type JoinStep = 'key' | 'answer' | 'identity' | 'certificates';

/** From a machine that is none to the files of a host. Call it under the machine's lock. */
export async function joinCloud(
  settings: Settings,
  args: JoinArguments,
  step: (done: JoinStep) => void = () => {},
): Promise<void> {
  const { paths } = settings;
  const layout = cloudLayout(paths);
  if (isJoined(settings, args.url)) return;
  const token = parseToken(args.token);
  if (!token)
    throw new CommandError(
      'that is no token',
      "have one made by 'bothy token' on the first machine, and give it whole",
    );
  requireUsable(paths);
  checkDisk(settings);
  checkCards(settings);
  checkGuestUids(settings);
  requireAlone(settings);
  await requireTunnels(settings);
  await checkPorts(settings, [{ setting: 'host_port', use: 'the host service', process: 'host' }]);
  const seen = await lookAt(args.url, token.fingerprint);
  const secret = token.secret.reveal();
  await requireTunnelEnds(settings, seen.local, await tunnelEnds(args, { ca: seen.ca, secret }));
  const { answer, key } = await askToJoin(settings, args, { seen, secret }, step);
  const { host, cloud_id: cloudId, southbound_port: port, certificate } = answer;
  writeIdentity(paths, {
    ...{ cloudId, hostId: host.id, createdAt: new Date().toISOString() },
    joined: {
      controlUrl: args.url,
      southbound: `ssl:${bracketed(seen.remote)}:${port}`,
      ...{ hostName: host.name, address: seen.local },
    },
  });
  step('identity');
  writeWhole(layout.authorityFile, seen.ca, { mode: 0o644 });
  writeWhole(layout.hostCertificate.key, key, { mode: 0o600 });
  writeWhole(layout.hostCertificate.certificate, certificate, { mode: 0o644 });
  step('certificates');
  rmSync(join(paths.data, joiningKey), { force: true });
}

/** It has all that the cloud gave. @throws CommandError where it is another cloud's, or one of its own */
function isJoined({ paths }: Settings, url: string): boolean {
  const identity = readIdentity(paths);
  if (!identity) return false;
  const remove = `if nothing of it is needed: bothy down --purge${dataArgument(paths)}`;
  if (!identity.joined)
    throw new CommandError(
      `the cloud ${identity.cloudId} runs from ${paths.data}: this machine is its first host`,
      remove,
    );
  if (identity.joined.controlUrl !== url) {
    const cure = `take it out of that first: bothy leave${dataArgument(paths)}`;
    throw new CommandError(`this machine is a host of the cloud at ${identity.joined.controlUrl}`, cure);
  }
  const { key, certificate } = cloudLayout(paths).hostCertificate;
  const joining = join(paths.data, joiningKey);
  if (!existsSync(certificate)) return false;
  if (!existsSync(joining)) return true;
  // The certificate is the last that is written: only the mark was to go, and the host may run by now.
  const whole = readText(key) === readText(joining) && isPair(readText(certificate)!, readText(joining)!);
  if (whole) rmSync(joining, { force: true });
  return whole;
}

function isPair(certificate: string, key: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

/** Takes the cloud's root on trust of its fingerprint in the token, then looks whether all else fits. @throws CommandError */
export async function lookAt(url: string, fingerprint: string): Promise<CloudSeen> {
  const path = '/native/v1/hosts/join';
  const { status, body } = await askControl({ method: 'GET', url, path, ca: undefined });
  const ca = rootOf(String(body?.ca ?? ''), fingerprint);
  if (status !== 200 || ca === undefined) {
    throw new CommandError(
      `what answers at ${url} is not the cloud that made the token`,
      'is the address right, and the token of that cloud?',
    );
  }
  const trusted = await askControl({ method: 'GET', url, path, ca });
  const refusal = refusalOf(trusted);
  if (refusal) throw new CommandError(`the cloud at ${url} does not answer: ${refusal.message}`, cureElse);
  const { cloud_id: cloudId, version, protocol } = trusted.body;
  const { local, remote } = trusted;
  if (trusted.clockMs !== undefined && Math.abs(trusted.clockMs) > clockMs) {
    const off = `${(Math.abs(trusted.clockMs) / 1000).toFixed(0)} s ${trusted.clockMs > 0 ? 'behind' : 'ahead of'} that of the cloud`;
    throw new CommandError(`the clock of this machine is ${off}`, clockCure);
  }
  if (agree(hostProtocol, { protocol: protocol.highest, lowestProtocol: protocol.lowest }) === undefined) {
    throw new CommandError(
      `this is Bothy ${bothyVersion()}, the cloud has ${version}`,
      'install the version of the cloud here',
    );
  }
  return { ca, cloudId, local, remote };
}

/** Where hosts of the cloud can be tried; none of an older cloud, and what is wrong with the token the join itself says. */
async function tunnelEnds(
  { url, name }: JoinArguments,
  { ca, secret }: { ca: string; secret: string },
): Promise<TunnelEnd[]> {
  const path = '/native/v1/hosts/join/tunnels';
  const { status, body } = await askControl({ method: 'POST', url, path, ca, body: { token: secret, name } });
  return status === 200 ? body.tunnels : [];
}

/** The first certificate of the text, where it is that of the fingerprint. What comes after it in the text is not taken along: nobody has vouched for it. */
function rootOf(pem: string, fingerprint: string): string | undefined {
  try {
    const root = new X509Certificate(pem);
    return createHash('sha256').update(root.raw).digest('hex') === fingerprint ? root.toString() : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Control's answer to this machine's key. A refusal takes the key away again where it was made for this try; one that was there may be known to control,
 * which would take no other one with the token that was used up by it.
 * @throws CommandError where control does not take it
 */
export async function askToJoin(
  settings: Settings,
  args: JoinArguments,
  { seen, secret }: { seen: CloudSeen; secret: string },
  step: (done: JoinStep) => void = () => {},
  // biome-ignore lint/suspicious/noExplicitAny: JSON, of which the caller reads what it knows
): Promise<{ answer: any; key: string }> {
  const { paths } = settings;
  const [fresh, asked] = [!existsSync(paths.data), existsSync(join(paths.data, joiningKey))];
  const key = ensureKey(paths);
  step('key');
  const answer = await ask(settings, args, { seen, key, secret });
  step('answer');
  const refusal = refusalOf(answer);
  if (!refusal) return { answer: answer.body, key };
  if (!asked && readIdentity(paths) === undefined && answer.status < 500) forgetKey(paths, fresh);
  throw new CommandError(`the cloud does not take this machine: ${refusal.message}`, cureOf(refusal.reason, settings));
}

/** The same one at each try, so that the cloud knows this machine again. */
function ensureKey(paths: CloudPaths): string {
  const file = join(paths.data, joiningKey);
  const known = readText(file);
  if (known !== undefined) return known;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  mkdirSync(paths.data, { recursive: true, mode: 0o711 });
  writeWhole(file, key, { mode: 0o600 });
  return key;
}

function forgetKey(paths: CloudPaths, fresh: boolean): void {
  rmSync(join(paths.data, joiningKey), { force: true });
  if (!fresh) return;
  try {
    rmdirSync(paths.data);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
  }
}

/** The request itself; while it lasts the machine says the request's word to whoever calls its address. */
async function ask(
  { values }: Settings,
  { url, name }: JoinArguments,
  { seen, key, secret }: { seen: CloudSeen; key: string; secret: string },
): Promise<ControlAnswer> {
  const { certificateRequestOf } = await import('../../control/pki/request.ts');
  const word = randomBytes(16).toString('hex');
  const port = Number(values.host_port);
  const server = net.createServer((socket) => socket.on('error', () => {}).end(greeting(word)));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen({ host: values.listen, port }, resolve);
  });
  try {
    const body = {
      ...{ token: secret, name, address: seen.local, host_port: port, word, csr: await certificateRequestOf(key) },
      ...{ now: Date.now(), version: bothyVersion(), protocol: { ...hostProtocol } },
    };
    return await askControl({ method: 'POST', url, path: '/native/v1/hosts/join', ca: seen.ca, body });
  } finally {
    server.close();
  }
}

const cureElse = "see 'bothy logs control' and 'bothy doctor' on the first machine";
const clockCure = 'on both machines: apt-get install chrony, then chronyc makestep';

function cureOf(reason: string, { paths, values }: Settings): string {
  const another = "have another made by 'bothy token' on the first machine";
  const cures: Record<string, string> = {
    host_token_refused: another,
    host_join_name_taken: 'give this machine another with --name',
    host_join_address_taken:
      'give this machine an address of its own, or remove the host that had it (openstack compute service delete)',
    host_join_address_not_reached: `is the way from control to port ${values.host_port} of this machine open, without translation? 'host_port' is in ${paths.settingsFile}`,
    host_join_version_unfit: 'install the version of the cloud here',
    host_join_clock_off: clockCure,
  };
  return cures[reason] ?? cureElse;
}
