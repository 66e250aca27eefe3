/** The part of pino that the driver uses. */
export interface NetworkLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export const silent: NetworkLogger = { info() {}, warn() {} };
