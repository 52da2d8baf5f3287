// What the telephone lets be heard: it rings, its keys sound, what the callee hears is spoken where the browser can.

const KEY = "ringproof-sound";
const ROWS = [697, 770, 852, 941];
const COLUMNS = [1209, 1336, 1477];
const PAD = "123456789*0#";
/** Notes of the ring: when in s, and which in Hz. */
const RING = [[0, 784], [0.16, 988], [0.32, 1175], [0.64, 988], [0.8, 1175], [0.96, 1568]];
const RING_EVERY_MS = 2400;

let context = null;
let ringing = 0;
let on = read();

function read() {
  try { return localStorage.getItem(KEY) !== "off"; } catch { return true; }
}

export const isOn = () => on;

/** Switches everything on or off, and remembers it. */
export function turn(to) {
  on = to;
  try { localStorage.setItem(KEY, to ? "on" : "off"); } catch { /* not remembered then */ }
  if (!to) { stopRing(); hush(); }
}

/** Sound is allowed only after the person did something on the page. */
function audio() {
  if (!on || !navigator.userActivation?.hasBeenActive) return null;
  context ??= new AudioContext();
  if (context.state === "suspended") context.resume();
  return context;
}

function tone(frequencies, at, length, volume, soft) {
  const to = audio();
  if (!to) return;
  const gain = to.createGain();
  const start = to.currentTime + at;
  gain.gain.setValueAtTime(0, start);
  gain.gain.linearRampToValueAtTime(volume, start + 0.012);
  if (soft) gain.gain.exponentialRampToValueAtTime(0.0008, start + length);
  else gain.gain.setValueAtTime(volume, start + length - 0.012);
  gain.gain.linearRampToValueAtTime(0, start + length + 0.01);
  gain.connect(to.destination);
  for (const frequency of frequencies) {
    const source = to.createOscillator();
    source.frequency.value = frequency;
    source.connect(gain);
    source.start(start);
    source.stop(start + length + 0.03);
  }
}

/** The tone of a key (ITU-T Q.23). */
export function key(digit) {
  const place = PAD.indexOf(digit);
  if (place >= 0) tone([ROWS[Math.floor(place / 3)], COLUMNS[place % 3]], 0, 0.14, 0.07, false);
}

export function startRing() {
  if (ringing) return;
  const once = () => RING.forEach(([at, frequency]) => tone([frequency, frequency * 2], at, 0.5, 0.06, true));
  once();
  ringing = setInterval(once, RING_EVERY_MS);
}

export function stopRing() {
  clearInterval(ringing);
  ringing = 0;
}

/** Says a text, after what is being said. */
export function speak(text, language) {
  const voice = globalThis.speechSynthesis;
  if (!on || !voice || document.hidden) return;
  const utterance = new SpeechSynthesisUtterance(text);
  utterance.lang = language;
  voice.speak(utterance);
}

/** Says nothing more. */
export function hush() {
  globalThis.speechSynthesis?.cancel();
}
