/** What came to nothing although nobody had asked for anything: a file is lost, or can't be read any more. SQL, nothing else. */
import { cloudActor, type Tx } from '../../kit/database/database.ts';
import { recordOperation } from '../../kit/operation/operations.ts';

/** It is told as what somebody asked for would be (../message): as an operation that has failed. */
export const recordLoss = (
  tx: Tx,
  resourceType: 'volume' | 'volume_snapshot',
  { id, project_id: projectId, generation }: { id: string; project_id: string; generation: number },
  failure: { state: 'failed'; code: string; message: string },
): Promise<void> =>
  recordOperation(tx, cloudActor, { projectId, resourceType, resourceId: id, verb: 'keep', generation }, failure);
