/** Refusals: control/ says what they mean, each dialect in which words. The compiler holds the tables; this holds what it can't see. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { nativeSentences } from '../api/native/faults.ts';
import { novaSentences } from '../api/openstack/compute/sentences.ts';
import { keystoneSentences } from '../api/openstack/identity/sentences.ts';
import { glanceSentences } from '../api/openstack/image/sentences.ts';
import { neutronSentences } from '../api/openstack/network/sentences.ts';
import { swiftSentences } from '../api/openstack/object/sentences.ts';
import { placementSentences } from '../api/openstack/placement/faults.ts';
import { cinderSentences } from '../api/openstack/volume/sentences.ts';
import { s3Refusals } from '../api/s3/refusals.ts';
import { operatorSentences } from '../cli/sentences.ts';

const root = join(import.meta.dirname, '..');
const text = (file: string) => readFileSync(join(root, file), 'utf8');
const sources = execFileSync(
  'git',
  ['-C', root, 'ls-files', '-z', '--cached', '--others', '--exclude-standard', 'control'],
  {
    encoding: 'utf8',
  },
)
  .split('\0')
  .filter((file) => file.endsWith('.ts') && !/\.test\.ts$|\/testing|\/test-/.test(file));
const withoutComments = (source: string) => source.replaceAll(/\/\*[\s\S]*?\*\/|(?<![:'"`])\/\/.*/g, '');

/** The reasons by the interface that declares them. */
function declaredReasons(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const file of sources.filter((source) => source.endsWith('/reasons.ts'))) {
    for (const [, name, body] of withoutComments(text(file)).matchAll(
      /^export interface (\w+Reasons) \{\n([\s\S]*?)^\}/gm,
    )) {
      const reasons = found.get(name!) ?? new Set();
      for (const [, reason] of body!.matchAll(/^ {2}(\w+)\??:/gm)) reasons.add(reason!);
      found.set(name!, reasons);
    }
  }
  return found;
}

const declared = declaredReasons();

const storage = ['StorageReasons', 'VolumeReasons', 'SnapshotReasons'];

const dialects: Record<string, { sentences: object; areas: string[] }> = {
  Keystone: { sentences: keystoneSentences, areas: ['KitReasons', 'IdentityReasons'] },
  Glance: { sentences: glanceSentences, areas: ['KitReasons', 'HostReasons', 'ImageReasons'] },
  Neutron: { sentences: neutronSentences, areas: ['KitReasons', 'HostReasons', 'NetworkReasons'] },
  Nova: {
    sentences: novaSentences,
    areas: [
      ...['KitReasons', 'HostReasons', 'ImageReasons', 'NetworkReasons', 'ComputeReasons'],
      ...[...storage, 'ServerVolumeReasons', 'HostRemovalReasons'],
    ],
  },
  Cinder: {
    sentences: cinderSentences,
    areas: ['KitReasons', 'HostReasons', 'ImageReasons', ...storage, 'ConnectionReasons'],
  },
  S3: { sentences: s3Refusals, areas: ['KitReasons', 'HostReasons', 'ObjectReasons', 'SignedRequestReasons'] },
  Swift: { sentences: swiftSentences, areas: ['KitReasons', 'HostReasons', 'ObjectReasons'] },
  Placement: { sentences: placementSentences, areas: ['KitReasons', 'HostReasons', 'ProviderReasons'] },
  'the command line': {
    sentences: operatorSentences,
    areas: ['ProcessReasons', 'HostLinkReasons', 'NetworkOperatorReasons'],
  },
  native: {
    sentences: nativeSentences,
    areas: [
      ...['KitReasons', 'ChangeReasons', 'StoragePoolReasons', 'ReachabilityReasons', 'ReachabilityAssertionReasons'],
      ...['MeterReasons', 'HostReasons', 'HostTokenReasons', 'HostRemovalReasons', 'PowerReasons'],
      'ConsolidationReasons',
      'ReserveReasons',
    ],
  },
};

test('every dialect has a sentence for each reason of the areas below it, and for no other', () => {
  for (const [name, { sentences, areas }] of Object.entries(dialects)) {
    const reasons = areas.flatMap((area) => [...(declared.get(area) ?? assert.fail(`there is no ${area}`))]);
    assert.deepEqual(Object.keys(sentences).sort(), [...new Set(reasons)].sort(), name);
  }
});

test('no area has a reason that nobody has a sentence for', () => {
  const spoken = new Set(Object.values(dialects).flatMap(({ areas }) => areas));
  assert.deepEqual(
    [...declared.keys()].filter((area) => !spoken.has(area)),
    [],
  );
});

test('every reason is one that control/ gives', () => {
  const code = sources
    .filter((file) => !file.endsWith('/reasons.ts'))
    .map((file) => withoutComments(text(file)))
    .join('\n');
  const given = (reason: string): boolean => {
    const noun = /^(\w+)_not_found$/.exec(reason)?.[1];
    return code.includes(`'${reason}'`) || (noun !== undefined && code.includes(`'${noun}'`));
  };
  const unused = [...declared.values()].flatMap((reasons) => [...reasons].filter((reason) => !given(reason)));
  assert.deepEqual(unused, []);
});

/** The arguments of each call, cut at the parenthesis that closes it. */
function refusals(source: string): string[] {
  return [...source.matchAll(/new CloudError\(/g)].map(({ index }) => {
    let depth = 0;
    const start = index + 'new CloudError'.length;
    for (let at = start; at < source.length; at++) {
      if ('({['.includes(source[at]!)) depth++;
      if (')}]'.includes(source[at]!) && --depth === 0) return source.slice(start + 1, at);
    }
    return source.slice(start);
  });
}

test('no refusal of control/ has a sentence, and nothing in it speaks a dialect', () => {
  // "Generated-by-Nova" is what the comment of a generated key has said ever since; guests keep it.
  const names = /['"`][^'"`\n]*\b(?<!Generated-by-)(Nova|Neutron|Keystone|Glance|OpenStack)\b/;
  const wrong = sources.flatMap((file) => {
    const source = withoutComments(text(file));
    const prose = refusals(source).filter((refusal) => /['"`][^'"`\n]*\w [\w'’][^'"`\n]*['"`]/.test(refusal));
    const spoken = source.split('\n').filter((line) => names.test(line));
    return [...prose, ...spoken].map((line) => `${file}: ${line.trim()}`);
  });
  assert.deepEqual(wrong, []);
});

test('the measure of refusals sees sentences', () => {
  assert.deepEqual(refusals("throw new CloudError('invalid', f({ a: [1] }), {}); x(new CloudError('a', 'b', {}))"), [
    "'invalid', f({ a: [1] }), {}",
    "'a', 'b', {}",
  ]);
});
