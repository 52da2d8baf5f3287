// The telephone on the page: shows what the simulated one shows, and passes its keys and buttons on.

import { say } from "./texts.js";
import * as sound from "./sound.js";

const telephone = document.getElementById("telephone");
const part = (id) => document.getElementById(id);
const captions = part("captions");
const keypad = part("keypad");
const bar = part("ringing-bar");
/** The last caption that was spoken; null before the first view. */
let spoken = null;
let phase = telephone?.dataset.phase;
let inSight = true;

function send(path, fields = {}) {
  return fetch(path, { method: "POST", headers: { accept: "application/json" }, body: new URLSearchParams(fields) })
    .catch(() => { /* the state that comes next shows that nothing happened */ });
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function note(view) {
  if (view.phase !== "idle") return "";
  return say(view.ending ? `telephone-${view.ending}` : "telephone-idle-lead");
}

function stateOf(view) {
  return say({ idle: "telephone-idle", ringing: "telephone-incoming", talking: "telephone-in-call" }[view.phase]);
}

function showCaptions(view) {
  const last = view.captions.at(-1)?.seq ?? 0;
  const shown = Number(captions.dataset.last ?? 0);
  if (last < shown || shown === 0) captions.replaceChildren();
  for (const caption of view.captions) {
    if (caption.seq <= (last < shown ? 0 : shown)) continue;
    const line = document.createElement("li");
    line.className = caption.kind;
    line.textContent = caption.text;
    if (caption.language) line.lang = caption.language;
    if (caption.kind === "key") line.setAttribute("aria-label", say("telephone-pressed", { key: caption.text }));
    captions.append(line);
  }
  captions.dataset.last = String(last);
  captions.scrollTop = captions.scrollHeight;
  speakNew(view, last);
}

/** Speaks what is new; what was there before the page came is not said again. */
function speakNew(view, last) {
  if (spoken === null || last < spoken) spoken = spoken === null ? last : 0;
  for (const caption of view.captions.filter((caption) => caption.seq > spoken)) {
    if (caption.kind === "key") sound.hush();
    else if (caption.kind !== "played") sound.speak(caption.text, caption.language);
  }
  spoken = last;
}

/** Where the keyboard goes when the call moves on: only if it was not busy elsewhere. */
function moveFocus(before, after) {
  const at = document.activeElement;
  const free = !at || at === document.body || at.id === "wizard-title";
  if (after === "ringing" && free) part("answer").focus({ preventScroll: true });
  if (after === "talking" && (free || telephone.contains(at))) keypad.focus({ preventScroll: true });
  if (after === "idle" && before !== "idle" && at && telephone.contains(at) && (at.disabled || at.hidden || at === keypad)) {
    part("wizard-title")?.focus({ preventScroll: true });
  }
}

function show(view) {
  const before = phase;
  phase = view.phase;
  telephone.dataset.phase = phase;
  telephone.dataset.listening = String(view.listening);
  telephone.dataset.asked = String(view.asked);
  set(part("phone-state"), stateOf(view));
  set(part("phone-number"), view.shown ?? "");
  set(part("phone-note"), note(view));
  part("answer").hidden = part("decline").hidden = phase !== "ringing";
  part("hangup").hidden = phase !== "talking";
  const at = document.activeElement;
  if (before !== phase) moveFocus(before, phase);
  for (const button of keypad.querySelectorAll("button")) button.disabled = phase !== "talking";
  if (at !== document.activeElement || before !== phase) showBar();
  if (phase === "ringing") sound.startRing(); else sound.stopRing();
  if (before === "talking" && phase === "idle" && view.ending === "hung_up") sound.hush();
  showCaptions(view);
}

function showBar() {
  bar.hidden = phase !== "ringing" || inSight;
}

function press(digit) {
  if (phase !== "talking") return;
  sound.key(digit);
  const button = keypad.querySelector(`button[value="${digit === "#" || digit === "*" ? `\\${digit}` : digit}"]`);
  button?.classList.add("down");
  setTimeout(() => button?.classList.remove("down"), 160);
  send("/demo/phone/press", { key: digit });
}

function listen() {
  telephone.addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target;
    if (form === keypad) press(event.submitter.value);
    else if (form.id !== "mood-form") send(new URL(form.action).pathname);
  });
  telephone.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.tagName === "SELECT") return;
    if (phase === "talking" && /^[0-9*#]$/.test(event.key)) {
      event.preventDefault();
      press(event.key);
    }
  });
  part("mood").addEventListener("change", (event) => send("/demo/phone/mood", { mood: event.target.value }));
  const switched = part("sound");
  const showSwitch = () => switched.setAttribute("aria-pressed", String(sound.isOn()));
  switched.hidden = false;
  showSwitch();
  switched.addEventListener("click", () => {
    sound.turn(!sound.isOn());
    showSwitch();
    if (phase === "ringing" && sound.isOn()) sound.startRing();
  });
  bar.addEventListener("click", (event) => {
    event.preventDefault();
    part("answer").focus({ preventScroll: true });
    part("answer").scrollIntoView({ block: "end", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  });
  new IntersectionObserver(([entry]) => { inSight = entry.isIntersecting; showBar(); }, { threshold: 0.01 }).observe(part("answer").closest(".buttons"));
}

/** Connects the telephone, where the page has one. `lost` is told when the connection is, and when it is back. */
export function connect(lost) {
  if (!telephone) return;
  listen();
  const source = new EventSource("/demo/phone/events");
  source.onmessage = (event) => { lost(false); show(JSON.parse(event.data)); };
  source.onopen = () => lost(false);
  source.onerror = () => lost(true);
  addEventListener("pagehide", () => source.close());
}
