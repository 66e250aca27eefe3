/**
 * Operations: what someone asked for, who must take the next step, what it waits for and until when. Written in the
 * transaction that decides; closed in the transaction that records the observation which satisfies it.
 */
import { sql } from 'kysely';
import { newOrderedId, type OperationId } from '../../../contract/ids.ts';
import type { Actor, Queryable, Tx } from '../database/database.ts';

export interface NewOperation {
  projectId: string | null;
  resourceType: string;
  resourceId: string;
  verb: string;
  /** Done when the resource's observed generation reaches this. */
  generation: number;
  owner: 'control' | `host ${string}`;
  waitingFor: string;
  deadlineMs: number;
}

/** Records an operation. An older running operation on the same resource is superseded: it ends as failed with code `conflict`. */
export async function beginOperation(tx: Tx, actor: Actor, operation: NewOperation): Promise<OperationId> {
  const id = newOrderedId<OperationId>();
  await sql`
    with superseded as (
      update operation set state = 'failed', finished_at = now(), updated_at = now(), waiting_for = null,
        error_code = 'conflict', error_message = ${`superseded by ${operation.verb}`}
      where resource_id = ${operation.resourceId} and state = 'running')
    insert into operation (id, project_id, resource_type, resource_id, verb, generation, owner, waiting_for, deadline, actor_id, request_id)
    values (${id}, ${operation.projectId}, ${operation.resourceType}, ${operation.resourceId}, ${operation.verb},
      ${operation.generation}, ${operation.owner}, ${operation.waitingFor},
      now() + ${operation.deadlineMs}::double precision * interval '1 millisecond', ${actor.actorId}, ${actor.requestId})`.execute(
    tx,
  );
  return id;
}

/** The same of many, each of a resource of its own. */
export async function beginOperations(tx: Tx, actor: Actor, operations: readonly NewOperation[]): Promise<void> {
  const rows = operations.map(({ projectId, resourceType, resourceId, verb, generation, owner, ...step }) => ({
    ...{ id: newOrderedId<OperationId>(), project_id: projectId, resource_type: resourceType, resource_id: resourceId },
    ...{ verb, generation, owner, waiting_for: step.waitingFor, deadline_ms: step.deadlineMs },
  }));
  const begun = sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as b (id uuid, project_id uuid, resource_type text, resource_id uuid,
    verb text, generation bigint, owner text, waiting_for text, deadline_ms double precision)`;
  await sql`
    with superseded as (
      update operation o set state = 'failed', finished_at = now(), updated_at = now(), waiting_for = null,
        error_code = 'conflict', error_message = 'superseded by ' || b.verb
      from ${begun} where o.resource_id = b.resource_id and o.state = 'running')
    insert into operation (id, project_id, resource_type, resource_id, verb, generation, owner, waiting_for, deadline, actor_id, request_id)
    select id, project_id, resource_type, resource_id, verb, generation, owner, waiting_for, now() + deadline_ms * interval '1 millisecond',
      ${actor.actorId}::uuid, ${actor.requestId}::text from ${begun}`.execute(tx);
}

/** Records what was done at once: nothing waits for it, and what runs goes on. */
export async function recordOperation(
  tx: Tx,
  actor: Actor,
  operation: Pick<NewOperation, 'projectId' | 'resourceType' | 'resourceId' | 'verb' | 'generation'>,
  outcome: { state: 'succeeded' } | { state: 'failed'; code: string; message: string } = { state: 'succeeded' },
): Promise<void> {
  const failed = outcome.state === 'failed' ? outcome : { code: null, message: null };
  await sql`insert into operation (id, project_id, resource_type, resource_id, verb, generation, state, owner, deadline,
      error_code, error_message, actor_id, request_id, finished_at)
    values (${newOrderedId<OperationId>()}, ${operation.projectId}, ${operation.resourceType}, ${operation.resourceId},
      ${operation.verb}, ${operation.generation}, ${outcome.state}, 'control', now(), ${failed.code}, ${failed.message},
      ${actor.actorId}, ${actor.requestId}, now())`.execute(tx);
}

/** Notes who has the next step and what it waits for; the deadline stays. */
export async function passOperation(
  db: Queryable,
  resourceId: string,
  step: { owner: 'control' | `host ${string}`; waitingFor: string },
): Promise<void> {
  await sql`update operation set owner = ${step.owner}, waiting_for = ${step.waitingFor}, updated_at = now()
    where resource_id = ${resourceId} and state = 'running'
      and (owner, waiting_for) is distinct from (${step.owner}, ${step.waitingFor})`.execute(db);
}

/** Closes the resource's running operations up to a generation. Safe to repeat. */
export async function endOperations(
  db: Queryable,
  resourceId: string,
  generation: number,
  outcome: { state: 'succeeded' } | { state: 'failed'; code: string; message: string },
): Promise<void> {
  const failed = outcome.state === 'failed' ? outcome : { code: null, message: null };
  await sql`update operation set state = ${outcome.state}, finished_at = now(), updated_at = now(), waiting_for = null,
      error_code = ${failed.code}, error_message = ${failed.message}
    where resource_id = ${resourceId} and state = 'running' and generation <= ${generation}`.execute(db);
}
