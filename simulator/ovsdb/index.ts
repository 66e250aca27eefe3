export { FakeDatabase } from './database.ts';
export { northbound } from './northbound.ts';
export { FakeNorthd } from './northd.ts';
export { FakeOvsdbServer } from './server.ts';
export { vswitch } from './vswitch.ts';
export { FakeVswitchd } from './vswitchd.ts';
