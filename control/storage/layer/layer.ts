/**
 * How far a layer is, from what its host said. Pure; `...InSql` are the same words for queries that have the layer's table under a name
 * (reports.db.test.ts holds both together).
 */
import { type RawBuilder, sql } from 'kysely';
import type { LayerRow } from './tables.ts';

type Standing = Pick<
  LayerRow,
  'epoch' | 'generation' | 'observed_epoch' | 'observed_generation' | 'observed_state' | 'desired_presence'
>;

/** The host has said that the file is as its document of now says. */
export const isServed = (layer: Standing): boolean => layer.observed_state === 'ready' && isOfNow(layer);

/** The host gave up on what is asked of the layer now; `observed_error` says why. */
export const hasFailed = (layer: Standing): boolean => layer.observed_state === 'failed' && isOfNow(layer);

/** The host has it no more, although it shall be there. */
export const isLost = (layer: Standing): boolean =>
  layer.desired_presence === 'present' && layer.observed_state === 'absent' && layer.observed_epoch === layer.epoch;

const isOfNow = ({ epoch, generation, observed_epoch, observed_generation }: Standing): boolean =>
  observed_epoch === epoch && observed_generation === generation;

const ofNow = (layer: string) =>
  sql`${sql.ref(`${layer}.observed_epoch`)} = ${sql.ref(`${layer}.epoch`)}
    and ${sql.ref(`${layer}.observed_generation`)} = ${sql.ref(`${layer}.generation`)}`;

/** {@link isServed} of the layer that the query calls so. */
export const isServedInSql = (layer: string): RawBuilder<boolean> =>
  sql<boolean>`(${sql.ref(`${layer}.observed_state`)} = 'ready' and ${ofNow(layer)})`;

/** {@link hasFailed} of the layer that the query calls so. */
export const hasFailedInSql = (layer: string): RawBuilder<boolean> =>
  sql<boolean>`(${sql.ref(`${layer}.observed_state`)} = 'failed' and ${ofNow(layer)})`;

/** {@link isLost} of the layer that the query calls so. */
export const isLostInSql = (layer: string): RawBuilder<boolean> =>
  sql<boolean>`(${sql.ref(`${layer}.desired_presence`)} = 'present' and ${sql.ref(`${layer}.observed_state`)} = 'absent'
    and ${sql.ref(`${layer}.observed_epoch`)} = ${sql.ref(`${layer}.epoch`)})`;
