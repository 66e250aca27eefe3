/** Times that callers write. */
import { CloudError } from '../../contract/errors.ts';

/** JavaScript has no microseconds; the text goes to PostgreSQL as it is. */
const instant = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,6})?(Z|\+00:00)?$/;

/** A moment in the future as PostgreSQL takes it, in UTC. @throws CloudError `invalid` */
export function futureInstant(text: string): string {
  const match = instant.exec(text);
  const whole = match ? `${match[1]}T${match[2]}` : '';
  const time = Date.parse(`${whole}Z`);
  // Date.parse takes 30 February; PostgreSQL does not.
  if (!match || Number.isNaN(time) || new Date(time).toISOString().slice(0, 19) !== whole) {
    throw new CloudError('invalid', 'expires_at_malformed', { text });
  }
  if (time <= Date.now()) throw new CloudError('invalid', 'expires_at_in_the_past', {});
  return `${whole}${match[3] ?? ''}Z`;
}
