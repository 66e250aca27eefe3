/** A server's serial console: xterm.js on the WebSocket that the address names. */
const { Terminal } = await import(document.body.dataset.library);

const state = document.getElementById('state');
const terminal = new Terminal({ cursorBlink: true, scrollback: 5000, theme: { background: '#14181c' } });
terminal.open(document.getElementById('console'));

const socket = new WebSocket(`wss://${location.host}/console/serial${location.search}`, ['binary']);
// The token is used up by this, and need not stand in the address.
history.replaceState(null, '', location.pathname);
socket.binaryType = 'arraybuffer';
const bytes = new TextEncoder();
terminal.onData((text) => {
  if (socket.readyState === WebSocket.OPEN) socket.send(bytes.encode(text));
});
terminal.onBinary((text) => {
  if (socket.readyState === WebSocket.OPEN) socket.send(Uint8Array.from(text, (character) => character.charCodeAt(0)));
});
let opened = false;
socket.addEventListener('open', () => {
  opened = true;
  state.textContent = 'connected';
  terminal.focus();
});
socket.addEventListener('message', ({ data }) => terminal.write(new Uint8Array(data)));
socket.addEventListener('close', () => {
  state.classList.add('ended');
  state.textContent = opened
    ? 'The console has ended, or somebody else has opened it. Ask for a new address to open it again.'
    : 'The console could not be opened. An address opens it once: ask for a new one.';
});
