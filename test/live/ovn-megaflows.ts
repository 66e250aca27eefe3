/**
 * What the host process does for a lab's Open vSwitch, whose megaflows it empties when flows have changed, in a process of its own: what the tests run inside
 * makes theirs stand still, for seconds. Ends with its standard input. Usage: ovn-megaflows.ts SOCKET, of ovs-vswitchd.
 */
import { Megaflows } from '../../host/network/megaflows.ts';

new Megaflows({ socket: process.argv[2]! }).start();
process.stdin.on('end', () => process.exit(0)).resume();
