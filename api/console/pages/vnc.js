/** A server's screen: noVNC on the WebSocket that the address names. A token opens it once, so a lost screen is not taken up again. */
const { default: RFB } = await import(document.body.dataset.library);
const state = document.getElementById('state');
const keys = document.getElementById('keys');
const say = (text, ended = false) => {
  state.textContent = text;
  state.classList.toggle('ended', ended);
};

const path = new URLSearchParams(location.search).get('path') ?? `console/vnc${location.search}`;
// The token is used up by this, and need not stand in the address.
history.replaceState(null, '', location.pathname);
const rfb = new RFB(document.getElementById('console'), `wss://${location.host}/${path.replace(/^\/+/, '')}`, {
  wsProtocols: ['binary'],
});
rfb.scaleViewport = true;
rfb.background = '#14181c';
rfb.focusOnClick = true;
rfb.addEventListener('desktopname', ({ detail }) => {
  document.title = detail.name;
  document.getElementById('name').textContent = detail.name;
});
rfb.addEventListener('connect', () => {
  say('connected');
  keys.hidden = false;
  rfb.focus();
});
rfb.addEventListener('disconnect', ({ detail }) => {
  keys.hidden = true;
  say(
    detail.clean
      ? 'The console has ended. Ask for a new address to open it again.'
      : 'The console could not be opened, or was lost. An address opens it once: ask for a new one.',
    true,
  );
});
keys.addEventListener('click', () => rfb.sendCtrlAltDel());
