/** Refusals that services of all kinds make. Their reasons are in the `reasons.ts` of the areas. */
import { CloudError, type Reason, type Reasons } from '../../contract/errors.ts';

/** What can be missing: all that have a reason of the form `<noun>_not_found` that is told with the id alone. */
export type Noun = { [R in Reason]: Reasons[R] extends { id: string } ? NounOf<R> : never }[Reason];
type NounOf<R extends Reason> = R extends `${infer N}_not_found` ? N : never;

/** Also for what is hidden from the caller. */
export function notFound(noun: Noun, id: string): CloudError {
  return new CloudError('not_found', `${noun}_not_found`, { id });
}
