/** A thread that asks for one image, a request each ten milliseconds, and answers the 99th percentile of the times. */
import https from 'node:https';
import { parentPort, workerData } from 'node:worker_threads';

const { url, token, ca } = workerData as { url: string; token: string; ca: Uint8Array };
const agent = new https.Agent({ keepAlive: true, ca: Buffer.from(ca) });
const times: number[] = [];
let ended = false;
parentPort!.on('message', () => {
  ended = true;
});
for (let index = 0; index < 100; index++) await ask();
times.length = 0;
parentPort!.postMessage('ready');
while (!ended) {
  await ask();
  await new Promise((resolve) => setTimeout(resolve, 10));
}
times.sort((a, b) => a - b);
parentPort!.postMessage(times[Math.floor(times.length * 0.99)]);
parentPort!.close();
agent.destroy();

async function ask(): Promise<void> {
  const started = performance.now();
  await new Promise<void>((resolve, reject) => {
    https
      .get(url, { agent, headers: { 'x-auth-token': token } }, (response) => response.resume().once('end', resolve))
      .once('error', reject);
  });
  times.push(performance.now() - started);
}
