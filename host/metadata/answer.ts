/**
 * What the metadata service answers for a path: the OpenStack tree below /openstack, the EC2 tree everywhere else, as
 * Nova has it. Pure.
 */
import type { DesiredServer } from '../../contract/host/index.ts';
import {
  type DocumentOptions,
  type Ec2Tree,
  ec2MetaData,
  injectedFiles,
  openstackFiles,
  userData,
} from './document.ts';
import { atLeast, ec2Versions, openstackVersions, since } from './versions.ts';

export interface Answer {
  type: string;
  body: string | Buffer;
}

const plain = (body: string | Buffer): Answer => ({ type: 'text/plain; charset=UTF-8', body });

/** Whether the answer has in it what services say of a server: nobody else need wait for them. */
export function asksServices(path: string): boolean {
  const [tree, , name] = path.split('/').filter((part) => part !== '');
  return tree === 'openstack' && name === 'vendor_data2.json';
}

/** Undefined where there is no such path. */
export function answer(server: DesiredServer, path: string, options: DocumentOptions = {}): Answer | undefined {
  const parts = path.split('/').filter((part) => part !== '');
  if (parts[0] === 'openstack') return openstackAnswer(server, parts.slice(1), options);
  return ec2Answer(server, parts[0] === 'ec2' ? parts.slice(1) : parts);
}

function openstackAnswer(server: DesiredServer, parts: string[], options: DocumentOptions): Answer | undefined {
  const [version, name, ...rest] = parts;
  if (version === undefined) return plain([...openstackVersions, 'latest'].join('\n'));
  if (version === 'content') {
    const body = rest.length === 0 && name !== undefined ? injectedFiles(server).get(name) : undefined;
    return body && { type: 'application/octet-stream', body };
  }
  if (version !== 'latest' && !(openstackVersions as readonly string[]).includes(version)) return undefined;
  const files = openstackFiles(server, version, options);
  // As with Nova, also where none was posted; what that is only the service knows.
  const posted = atLeast(version, since.password) ? ['password'] : [];
  if (name === undefined) return plain([...files.keys(), ...posted].join('\n'));
  const body = files.get(name);
  if (body === undefined || rest.length > 0) return undefined;
  return name === 'user_data' ? { type: 'application/octet-stream', body } : { type: 'application/json', body };
}

function ec2Answer(server: DesiredServer, parts: string[]): Answer | undefined {
  const [version, ...path] = parts;
  if (version === undefined) return plain([...ec2Versions, 'latest'].join('\n'));
  if (version !== 'latest' && !(ec2Versions as readonly string[]).includes(version)) return undefined;
  const user = userData(server);
  if (path.length === 0) return plain(user === null ? 'meta-data/' : 'meta-data/\nuser-data');
  if (path[0] === 'user-data') {
    return user === null || path.length > 1 ? undefined : { type: 'application/octet-stream', body: user };
  }
  if (path[0] !== 'meta-data') return undefined;
  let node: string | Ec2Tree | undefined = ec2MetaData(server);
  for (const part of path.slice(1)) {
    if (node === undefined || typeof node === 'string' || part === '_name' || !Object.hasOwn(node, part))
      return undefined;
    node = node[part];
  }
  if (node === undefined) return undefined;
  return plain(typeof node === 'string' ? node : listing(node));
}

/** Directories end in a slash, but for those with a name of their own (public-keys/0 is listed as `0=name`). */
function listing(tree: Ec2Tree): string {
  return Object.entries(tree)
    .filter(([name]) => name !== '_name')
    .map(([name, value]) => (typeof value === 'string' ? name : String(value._name ?? `${name}/`)))
    .sort()
    .join('\n');
}
