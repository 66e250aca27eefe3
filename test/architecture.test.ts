/** Rules of the repository that a machine can hold: who imports whom, how long things get, what is never committed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Which top-level folder may import from which others. Tests may also use `test/` and `simulator/`. */
const mayImport: Record<string, readonly string[]> = {
  contract: [],
  engine: ['contract', 'protocols'],
  protocols: ['contract'],
  control: ['contract', 'protocols'],
  api: ['control', 'contract'],
  host: ['contract', 'protocols', 'engine'],
  console: ['contract'],
  simulator: ['host', 'contract', 'protocols', 'engine'],
  cli: ['contract', 'protocols', 'engine', 'control', 'api', 'host', 'simulator'],
  test: ['contract', 'protocols', 'engine', 'control', 'api', 'host', 'simulator', 'cli'],
  tools: ['contract', 'protocols', 'engine', 'control', 'api', 'host', 'simulator', 'cli', 'test'],
};
const maxFileLines = 400;
const maxFunctionLines = 60;

/** Files under version control and new ones that are not ignored; without git (an unpacked archive) there is nothing to check. */
function repositoryFiles(): string[] {
  const list = execFileSync('git', ['-C', root, 'ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    encoding: 'utf8',
  });
  return list.split('\0').filter((file) => file !== '' && existsSync(join(root, file)));
}

const files = repositoryFiles();
const sources = files.filter((file) => /\.tsx?$/.test(file));
const isTest = (file: string) => /(\.test|\/testing|\/test-[^/]*)\.ts$/.test(file) || /\/testing\//.test(file);
const text = (file: string) => readFileSync(join(root, file), 'utf8');

/** Paths of the repository that a source file imports, static and dynamic, types included. */
export function importsOf(file: string, source: string): string[] {
  const specifiers = [...source.matchAll(/(?:\bfrom\s+|\bimport\s+|\bimport\(\s*)'(\.[^']+)'/g)].map(
    (match) => match[1]!,
  );
  return specifiers.map((specifier) => normalize(join(dirname(file), specifier)));
}

test('folders import only from the folders below them', () => {
  const wrong: string[] = [];
  for (const file of sources) {
    const folder = file.split('/')[0]!;
    const allowed = mayImport[folder];
    if (allowed === undefined) {
      if (file.includes('/')) wrong.push(`${file}: the folder ${folder}/ is in no rule`);
      continue;
    }
    const also = isTest(file) ? ['test', 'simulator'] : [];
    for (const target of importsOf(file, text(file))) {
      const other = target.split('/')[0]!;
      if (other !== folder && ![...allowed, ...also].includes(other)) wrong.push(`${file} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

/** Areas of control/, lowest first: an area imports from those before it. `control/*.ts` itself opens them all. */
const areas = ['kit', 'pki', 'identity', 'host', 'image', 'object', 'storage', 'network', 'compute'];

test('areas of control/ import only from the areas below them', () => {
  const wrong: string[] = [];
  for (const file of sources.filter((source) => /^control\/[^/]+\//.test(source))) {
    const area = areas.indexOf(file.split('/')[1]!);
    if (area < 0) wrong.push(`${file}: the area is in no rule`);
    for (const target of importsOf(file, text(file))) {
      const [top, other] = target.split('/');
      // A test may look up to what it shows the lower part with.
      if (top !== 'control' || isTest(file)) continue;
      if (areas.indexOf(other!) > area || !areas.includes(other!)) wrong.push(`${file} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

/** In each, a folder and those inside it count as one. */
const withoutCircles = [
  'contract',
  'protocols',
  'engine',
  'control',
  'api',
  'host',
  'cli',
  'simulator',
  'test',
  'tools',
];
/** What the supervisor will run is loaded ahead of it, for the cache that both have. */
const loadedAhead = ['cli/cloud/start.ts', 'cli/commands/supervise.ts'];

for (const top of withoutCircles)
  test(`folders of ${top}/ import each other in no circle`, () => {
    const folders = new Map<string, Set<string>>();
    for (const file of sources.filter((source) => source.startsWith(`${top}/`) && !isTest(source))) {
      const from = dirname(file);
      const targets = importsOf(file, text(file)).filter((target) => target.startsWith(`${top}/`) && !isTest(target));
      for (const target of targets) {
        const to = dirname(target);
        if (file === loadedAhead[0] && target === loadedAhead[1]) continue;
        if (to === from || to.startsWith(`${from}/`) || from.startsWith(`${to}/`)) continue;
        folders.set(from, (folders.get(from) ?? new Set()).add(to));
      }
    }
    assert.deepEqual(circles(folders), []);
  });

/** Steps are functions on their task, which performs them. */
const inCircles = /^(host\/server\/(task\.ts|steps\/)|tools\/)/;

test('files import each other in no circle, types included', () => {
  const own = sources.filter((file) => !isTest(file) && !inCircles.test(file));
  const graph = new Map(
    own.map((file) => [file, new Set(importsOf(file, text(file)).filter((to) => !inCircles.test(to)))]),
  );
  assert.deepEqual(circles(graph), []);
});

/** Every group of nodes that reach each other. */
function circles(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const reached = (from: string): Set<string> => {
    const seen = new Set<string>();
    const open = [...(graph.get(from) ?? [])];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(...(graph.get(next) ?? []));
    }
    return seen;
  };
  const all = new Map([...graph.keys()].map((node) => [node, reached(node)]));
  const groups = [...all].flatMap(([node, seen]) =>
    seen.has(node)
      ? [
          [...seen]
            .filter((other) => all.get(other)?.has(node))
            .sort()
            .join(' '),
        ]
      : [],
  );
  return [...new Set(groups)];
}

test('every import names a file that exists, with its extension', () => {
  const missing = sources.flatMap((file) =>
    importsOf(file, text(file))
      .filter((target) => !existsSync(join(root, target)) || !/\.\w+$/.test(target))
      .map((target) => `${file} imports ${target}`),
  );
  assert.deepEqual(missing, []);
});

test(`source files stay below ${maxFileLines} lines`, () => {
  const long = sources
    .filter((file) => !isTest(file) && !/generated/.test(file))
    .map((file) => ({ file, lines: text(file).split('\n').length - 1 }))
    .filter(({ lines }) => lines >= maxFileLines);
  assert.deepEqual(long, []);
});

test(`functions stay within ${maxFunctionLines} lines`, () => {
  const long = sources
    .filter((file) => !isTest(file) && !/generated/.test(file))
    .flatMap((file) => functionLengths(text(file)).map((found) => ({ file, ...found })))
    .filter(({ lines }) => lines > maxFunctionLines);
  assert.deepEqual(long, []);
});

/**
 * Lengths of functions, by the formatter's layout: the closing brace of a block stands alone at the indentation of the
 * line that opened it. Table-like functions (a body that is one literal) count as well.
 */
export function functionLengths(source: string): { name: string; lines: number }[] {
  const lines = source.split('\n');
  const found: { name: string; lines: number }[] = [];
  const opening =
    /^(\s*)(?:export )?(?:default )?(?:(?:async )?function\*? (\w+)|(?:const (\w+) = (?:async )?\(.*)|(?:(?:static |override |public |private )*(?:async )?\*?(#?\w+)\())/;
  for (const [start, line] of lines.entries()) {
    const match = opening.exec(line);
    if (match === null || /^\s*(if|for|while|switch|catch|return|await|new|throw|super)\b/.test(line)) continue;
    const indent = match[1]!;
    // The parameters may take several lines; the body opens on the first line that ends with a brace.
    let open = start;
    while (open < lines.length && open < start + 12 && !/\{$/.test(lines[open]!) && !/[;,]$/.test(lines[start]!))
      open++;
    if (!/(\)|\)?: [^=]*|=>) \{$/.test(lines[open] ?? '')) continue;
    const end = lines.findIndex((candidate, index) => index > open && candidate.startsWith(`${indent}}`));
    if (end > 0) found.push({ name: match[2] ?? match[3] ?? match[4] ?? '?', lines: end - start + 1 });
  }
  return found;
}

test('the measure of functions sees functions, methods and arrows', () => {
  const source =
    'export function one(\n  a: number,\n): void {\n  two();\n}\nclass A {\n  async three(): Promise<void> {\n    x();\n  }\n}\nconst four = (a: string) => {\n  y();\n};\n';
  assert.deepEqual(functionLengths(source), [
    { name: 'one', lines: 5 },
    { name: 'three', lines: 3 },
    { name: 'four', lines: 3 },
  ]);
});

test("nothing names a path of somebody's machine", () => {
  // Written so that this file does not match itself.
  const foreign = new RegExp(['/work', '/farm', '/home/[a-z]+'].map((path) => `${path}/`).join('|'));
  const found = files
    .filter(
      (file) =>
        /\.(tsx?|mjs|js|sh|md|json|sql|ya?ml|conf|service)$|^(bothy|\.ci\/run)$/.test(file) &&
        file !== 'package-lock.json',
    )
    .flatMap((file) =>
      text(file)
        .split('\n')
        .flatMap((line, index) =>
          foreign.test(line) && !file.endsWith('architecture.test.ts') ? [`${file}:${index + 1}: ${line.trim()}`] : [],
        ),
    );
  assert.deepEqual(found, []);
});

/** Where the calendar is meant: what expires at a time of day, files' times, clocks that are compared, and what people read. */
const calendars = new Set([
  ...['control/host/token/join.ts'],
  ...['cli/doctor/cloud.ts', 'cli/process/control-health.ts', 'control/host/history.ts'],
  ...['control/host/session.ts', 'control/identity/signed.ts', 'control/kit/projection/walk.ts'],
  ...['control/pki/authority.ts', 'host/metadata/service.ts', 'host/server/reconciler.ts'],
]);

test('how long something takes, lasts or is silent is measured by a clock that nobody sets', () => {
  const measured = /Date\.now\(\) - |- Date\.now\(\)/;
  const found = sources.filter((file) => /^(control|api|host|cli|engine|protocols)\//.test(file) && !/test/.test(file));
  assert.deepEqual(
    found.filter((file) => measured.test(text(file)) && !calendars.has(file)),
    [],
  );
});

/** Of the process: how long a certificate lasts, what people read, and what is measured by the same clock. */
const ownTimes = new Set([
  ...['control/pki/authority.ts', 'control/compute/server/server.ts', 'control/compute/maintenance/service.ts'],
  ...['control/compute/power/service.ts', 'control/kit/projection/work-list.ts'],
  ...['control/kit/projection/walk.ts', 'control/kit/projection/term.ts'],
]);

test("what is kept and decided by is of the database's time, not of a process's", () => {
  const own = /new Date\(\)|new Date\(Date\.now\(\)|Date\.now\(\) - [\w.]+\.getTime\(\)/;
  const found = sources.filter((file) => file.startsWith('control/') && !isTest(file) && own.test(text(file)));
  assert.deepEqual(
    found.filter((file) => !ownTimes.has(file)),
    [],
  );
});

test("what a caller's text names is looked for among an object's own members, not with `in`", () => {
  const names = /\b(name|key|option|column|field|property) in [a-z]/;
  const found = sources
    .filter((file) => /^(contract|control|api|host|cli|engine|protocols)\//.test(file) && !isTest(file))
    .flatMap((file) =>
      text(file)
        .split('\n')
        .map((line) => line.replaceAll(/(['"`]).*?\1|^\s*(\/?\*|\/\/).*/g, ''))
        .filter((line) => names.test(line) && !/\bfor\b/.test(line))
        .map((line) => `${file}: ${line.trim()}`),
    );
  assert.deepEqual(found, []);
});

test('what a host says of itself is cast in SQL to numbers and booleans alone: one that spoils a cast spoils the statement for all hosts', () => {
  const cast = /facts[^()]*\)::(?!integer|bigint|numeric|boolean)\w+/;
  const found = sources.filter((file) => /^(control|api)\//.test(file) && !isTest(file) && cast.test(text(file)));
  assert.deepEqual(found, []);
});

test('no "or" looks into what a subquery lists: that reads all of the table, where = any(array(select …)) takes its index', () => {
  const wrong = sources
    .filter((file) => /^(control|api)\//.test(file) && !isTest(file))
    .filter((file) => /\bor \(?[\w.]+ in \(\s*select\b/.test(text(file)));
  assert.deepEqual(wrong, []);
});

test('a right to what is another project’s is looked at under a lock: who takes it away waits, and sees who relies on it', () => {
  const judges = /\b(?:maySee|mayUse)\(/;
  const holds = /\bfor (?:no key )?(?:key share|share|update)\b|\bholdNetworks\(/;
  const unheld = sources.filter(
    (file) =>
      file.startsWith('control/network/') &&
      !isTest(file) &&
      file !== 'control/network/access.ts' &&
      judges.test(text(file)) &&
      !holds.test(text(file)),
  );
  assert.deepEqual(unheld, []);
});

test('work that is left to do names its issue', () => {
  const mark = new RegExp(`(//|\\*) *(${['TO', 'FIX'].join('DO|')}ME)\\b(?!\\(#\\d+\\))`);
  const found = sources.flatMap((file) =>
    text(file)
      .split('\n')
      .flatMap((line, index) => (mark.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
  );
  assert.deepEqual(found, []);
});

test('long-lived processes take node:http from contract/node-http.ts, without the fetch client that its module loads', () => {
  const asModule = /^import (?!type )[^;]*from 'node:http';/m;
  const found = sources.filter((file) => /^(control|api|host|contract|protocols|cli\/process)\//.test(file));
  assert.deepEqual(
    found.filter((file) => !isTest(file) && asModule.test(text(file))),
    [],
  );
});
