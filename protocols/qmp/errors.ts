/** What can go wrong on a QMP connection, by meaning. */

/** QEMU understood the command and refused it. */
export class QmpError extends Error {
  override readonly name = 'QmpError';
  /** QEMU's error class, mostly 'GenericError'. */
  readonly errorClass: string;
  constructor(command: string, errorClass: string, description: string) {
    super(`QEMU refused ${command}: ${description}`);
    this.errorClass = errorClass;
  }
}

/** The connection could not be made, or ended: whether a command that was under way took effect is unknown. */
export class QmpConnectionError extends Error {
  override readonly name = 'QmpConnectionError';
}

/** No answer in time; the connection stays and a late answer is dropped. */
export class QmpTimeoutError extends Error {
  override readonly name = 'QmpTimeoutError';
}
