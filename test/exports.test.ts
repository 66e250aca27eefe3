/** What a file exports is taken by another one: an `export` that nobody wants hides what is dead from the compiler. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = execFileSync('git', ['-C', root, 'ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
  encoding: 'utf8',
})
  .split('\0')
  .filter((file) => /\.m?[tj]s$/.test(file) && existsSync(join(root, file)));
const text = new Map(sources.map((file) => [file, readFileSync(join(root, file), 'utf8')]));

const name = (listed: string): string => listed.trim().replace(/^type /, '');
const names = (list: string): string[] => list.split(',').map(name).filter(Boolean);

/** Values, and all that is handed on from another file. Types of a file's own may say what its functions take: nobody need name them. */
function exportsOf(source: string): string[] {
  const own = source.matchAll(/^export (?:abstract )?(?:async )?(?:function\*?|const|let|class|enum) (\w+)/gm);
  const handedOn = source.matchAll(/^export (?:type )?\{([^}]*)\}/gm);
  return [
    ...[...own].map((found) => found[1]!),
    ...[...handedOn].flatMap((found) => names(found[1]!).map((each) => each.split(' as ').at(-1)!)),
  ];
}

const taken = new Map<string, Set<string>>();
/** By the text of a process of its own, which names the file as it runs. */
const takenByText = new Set<string>();
const take = (file: string, words: Iterable<string>): void => {
  const known = taken.get(file) ?? new Set();
  for (const word of words) known.add(word);
  taken.set(file, known);
};
const wordsOf = (source: string): string[] => source.match(/\w+/g) ?? [];

for (const [file, source] of text) {
  const at = (specifier: string): string => normalize(join(dirname(file), specifier));
  for (const [, list = '', from = ''] of source.matchAll(/(?:import|export) [^'"{;]*\{([^}]*)\} from '(\.[^']+)'/g))
    take(
      at(from),
      names(list).map((each) => each.split(' as ')[0]!),
    );
  for (const [, list = ''] of source.matchAll(/import \{([^}]*)\} from '\$\{/g))
    for (const each of names(list)) takenByText.add(each);
  // Of what is taken as a whole, by a name or when it is needed, each word that the taker has.
  for (const [, from = ''] of source.matchAll(/(?:import \* as \w+ from |import\()'(\.[^']+)'/g))
    take(at(from), wordsOf(source));
  for (const [, as = '', from = ''] of source.matchAll(/export \* as (\w+) from '(\.[^']+)'/g))
    for (const other of text.values())
      take(
        at(from),
        [...other.matchAll(new RegExp(`\\b${as}\\.(\\w+)`, 'g'))].map((found) => found[1]!),
      );
}

/** Found by their path when the command is asked for; parts of the schemas of what hosts and control say; declarations of what is no TypeScript. */
const exempt = /^(cli\/commands\/|contract\/host\/|test\/architecture\.test\.ts$)|\.d\.mts$/;

test('what a file exports another one takes', () => {
  const unwanted = [...text]
    .filter(([file]) => /\.ts$/.test(file) && !exempt.test(file))
    .flatMap(([file, source]) => {
      const wanted = taken.get(file) ?? new Set();
      return exportsOf(source)
        .filter((each) => !wanted.has(each) && !takenByText.has(each))
        .map((each) => `${file}: ${each}`);
    });
  assert.deepEqual(unwanted, []);
});
