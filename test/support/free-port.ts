/** For tests below cli/, which may not import it. */
export { freePort } from '../../cli/cloud/free-port.ts';
