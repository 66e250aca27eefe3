/**
 * What is asked of a connection in one turn of the event loop leaves in one write. pg writes each statement by itself, and each
 * write is a system call that wakes PostgreSQL's process, which then takes the processor from the one that is still asking.
 * Nothing waits longer: the turn's end comes before anything else can happen in this process.
 */
import type pg from 'pg';

type Query = (...args: unknown[]) => unknown;
type Corked = { connection: { stream: { cork(): void; uncork(): void } } };

/** From now on; owns nothing but one turn's worth of bytes, which go with the connection. */
export function sendTogether(client: pg.Client): void {
  const { connection } = client as unknown as Corked;
  const plain = client.query.bind(client) as Query;
  let corked = false;
  const query: Query = (...args) => {
    if (!corked) {
      corked = true;
      // The stream may be another by then: a connection that turned to TLS.
      const { stream } = connection;
      stream.cork();
      // Before promises that resolve later, after all of those that have: what they ask for goes along.
      process.nextTick(() => {
        corked = false;
        stream.uncork();
      });
    }
    return plain(...args);
  };
  client.query = query as typeof client.query;
}
