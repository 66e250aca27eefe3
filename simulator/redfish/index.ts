export { FakeBmc, type FakeBmcOptions, type Quirk, type Trouble } from './bmc.ts';
