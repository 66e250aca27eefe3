/** OpenAPI documents that are checked in, held to the routes. `npm run golden` refreshes them. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import Fastify from 'fastify';
import type { Dialect } from '../../server.ts';
import type { RouteEntry } from '../contract.ts';
import { type ApiInfo, openApiDocument } from '../openapi.ts';
import { routeTable } from './hold-answers.ts';

/** Registers the dialect where nothing answers. */
export async function routesOf(dialect: Dialect): Promise<readonly RouteEntry[]> {
  const app = Fastify({ exposeHeadRoutes: false });
  const { entries, strangers } = routeTable(app);
  await app.register(dialect.plugin, { prefix: dialect.prefix });
  await app.close();
  assert.deepEqual(strangers, [], 'every route has a contract');
  return entries;
}

/** Compares its document with the file. @param name of the file in docs/openapi */
export async function holdDocument(name: string, info: ApiInfo, dialect: Dialect): Promise<void> {
  const entries = await routesOf(dialect);
  const document = `${JSON.stringify(openApiDocument(info, entries), null, 1)}\n`;
  const file = fileURLToPath(new URL(`../../../docs/openapi/${name}.json`, import.meta.url));
  if (process.env.UPDATE_GOLDEN) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, document);
  }
  assert.equal(readFileSync(file, 'utf8'), document, `docs/openapi/${name}.json is not current: npm run golden`);
}
