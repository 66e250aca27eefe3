/**
 * What the host tells control, in words safe for people. `permanent` means that trying again with the same desired state
 * cannot help, so the host gives up on the generation at once.
 */
export class HostFault extends Error {
  override readonly name = 'HostFault';
  readonly code: string;
  readonly permanent: boolean;
  readonly retryMs: number | undefined;

  /** @param options.retryMs when to try again, however often it was tried already: a try costs nothing, and what it waits for is missed */
  constructor(code: string, message: string, options: { permanent?: boolean; retryMs?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.permanent = options.permanent ?? false;
    this.retryMs = options.retryMs;
  }
}

/** A full disk, or a quota of the file system, anywhere in the chain of causes. */
export function isDiskFull(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    const { code } = each as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') return true;
  }
  return false;
}

/** The fault to show for whatever was thrown. */
export function asFault(error: unknown): HostFault {
  if (error instanceof HostFault) return error;
  if (isDiskFull(error)) return new HostFault('no_capacity', 'the disk of the host is full', { cause: error });
  return new HostFault('internal', error instanceof Error ? error.message : String(error), { cause: error });
}
