/** Whether one end reaches another: what the rest of the cloud asks. */

export { type Asked, answerOf, readShape, type Told, versionsOf } from './answer.ts';
export { EndFinder, findEnds, requireOwnEnd } from './ends.ts';
export type { Ground } from './ground.ts';
export { loadGround, type Places } from './load.ts';
export type { Answer, End, Stop, StopReason } from './question.ts';
export { GroundReader } from './rows.ts';
export { ReachabilityService } from './service.ts';
export { asSeen } from './sight.ts';
