/**
 * What tsyringe (below @peculiar/x509) wants of `reflect-metadata` before it loads: to ask which arguments a constructor
 * takes. The constructors that it makes there take none, so nothing has to be remembered. Import this before @peculiar/x509.
 */
Object.assign(Reflect, { getMetadata: () => undefined, getOwnMetadata: () => undefined });
