/** What the host needs of a logger: pino's shape, so that a host process costs no more than it must in tests and fleets. */
export interface HostLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const nothing = () => {};
export const silent: HostLogger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
