/** Bytes that are not what was written, or not there. What was found is never handed out. */
export class BlobFault extends Error {
  override readonly name = 'BlobFault';
  readonly kind: 'corrupt' | 'missing';

  constructor(kind: 'corrupt' | 'missing', message: string, options?: { cause: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

export const corrupt = (path: string, what: string): BlobFault => new BlobFault('corrupt', `${path}: ${what}`);

/** What keeps a file from being opened: it may be gone. */
export function unopened(path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' ? new BlobFault('missing', `${path} is gone`, { cause: error }) : error;
}

/** A read that the disk itself could not do. */
export function unread(path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EIO' || code === 'EUCLEAN'
    ? new BlobFault('corrupt', `${path}: the disk can't read it (${code})`, { cause: error })
    : error;
}
