// The wizard. Every step is a plain page and a plain form; this only changes them in place, so that the telephone beside
// it keeps ringing.

import { say } from "./texts.js";
import { enhance } from "./country.js";
import { watch } from "./live.js";
import { connect } from "./telephone.js";

const wizard = document.getElementById("wizard");
const timeline = document.getElementById("timeline");
const PREVIEW_AFTER_MS = 250;
let counting = 0;
let going = 0;
/** The call moved on while the page was going somewhere else. */
let moved = false;

const byId = (id) => document.getElementById(id);

/** Fetches a step and shows it. Falls back on a plain page load when it cannot. */
async function go(url, { form = null, push = true } = {}) {
  const mine = ++going;
  wizard.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(url, { method: form ? "POST" : "GET", body: form, headers: { accept: "text/html" } });
    const text = await answer.text();
    if (mine === going) show(text, answer.url, push);
  } catch {
    lost(true);
  } finally {
    if (mine === going) {
      wizard.removeAttribute("aria-busy");
      if (moved) follow();
    }
  }
}

/** Shows how the call stands, unless the person is just going somewhere else: then once that is done. */
function follow() {
  moved = wizard.hasAttribute("aria-busy");
  if (!moved && byId("stages")) go("/demo/call", { push: false });
}

function show(text, url, push) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const step = fresh.getElementById("wizard");
  if (!step) {
    location.assign(url);
    return;
  }
  lost(false);
  document.title = fresh.title;
  wizard.replaceChildren(...step.childNodes);
  Object.assign(wizard.dataset, step.dataset);
  const { verification = "", token = "" } = fresh.getElementById("timeline").dataset;
  Object.assign(timeline.dataset, { verification, token });
  byId("back").value = step.dataset.path;
  for (const link of document.querySelectorAll("[data-place]:is(a)")) {
    link.toggleAttribute("aria-current", false);
    if (link.dataset.place === step.dataset.place) link.setAttribute("aria-current", "page");
  }
  if (push && url !== location.href) history.pushState(null, "", url);
  begin();
  const first = wizard.querySelector("[aria-invalid=true]") ?? byId("wizard-title");
  if (document.activeElement?.tagName !== "SELECT") first?.focus({ preventScroll: true });
  if (wizard.getBoundingClientRect().top < 0) wizard.scrollIntoView();
}

/** Sets up what a step needs. */
function begin() {
  clearInterval(counting);
  const country = byId("country");
  if (country) {
    const preview = previews();
    enhance(country, preview);
  }
  countAgain();
  watch();
}

/** Shows what will be called while the number is being typed. */
function previews() {
  const number = byId("number");
  const message = byId("number-message");
  const form = byId("phone-form");
  let timer = 0;
  let latest = 0;
  async function look(strict) {
    const mine = ++latest;
    const fields = new URLSearchParams(new FormData(form));
    const seen = await fetch("/demo/number", { method: "POST", body: fields }).then((answer) => answer.json()).catch(() => null);
    if (!seen || mine !== latest || !number.isConnected) return;
    byId("shown").value = seen.ok ? seen.shown : "";
    if (!seen.ok && !strict && !message.classList.contains("fault")) seen.text = "";
    message.textContent = seen.text;
    message.classList.toggle("fault", !seen.ok && seen.text !== "");
    number.toggleAttribute("aria-invalid", !seen.ok && seen.text !== "");
    if (!seen.ok && seen.text) number.setAttribute("aria-invalid", "true");
    byId("next").textContent = say("phone-next");
  }
  const later = () => {
    byId("shown").value = "";
    clearTimeout(timer);
    timer = setTimeout(look, PREVIEW_AFTER_MS, false);
  };
  number.addEventListener("input", later);
  number.addEventListener("change", () => { clearTimeout(timer); look(true); });
  if (number.value && !message.textContent) look(false);
  return () => { clearTimeout(timer); look(true); };
}

/** Counts down to the time from which another call may be asked for. */
function countAgain() {
  const again = byId("again");
  const hint = byId("again-hint");
  const later = wizard.querySelector("[data-later]");
  const button = again ?? later;
  if (!button) return;
  const due = performance.now() + 1000 * Number(button.dataset.againIn ?? button.dataset.later);
  const tick = () => {
    const left = Math.max(0, Math.ceil((due - performance.now()) / 1000));
    button.disabled = left > 0;
    if (hint) hint.textContent = left ? say("calling-again-after", { seconds: left }) : say("calling-again-now");
    if (later && left < Number(later.dataset.later)) later.textContent = left ? say("calling-again-in", { seconds: left }) : say("calling-again");
    if (!left) clearInterval(counting);
  };
  tick();
  counting = setInterval(tick, 1000);
}

function lost(is) {
  byId("lost").hidden = !is;
}

const told = {
  lost,
  stage(stage) {
    const stages = byId("stages");
    if (!stages || stages.dataset.stage === stage) return;
    stages.dataset.stage = stage;
    byId("say").textContent = say(`say-${stage}`);
    if (stage === "queued") follow();
  },
  // Only the page of the call has something to show for it.
  outcome: follow,
};

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-swap]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(link.href);
});
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.hasAttribute("data-swap")) {
    event.preventDefault();
    const fields = new URLSearchParams(new FormData(form, event.submitter));
    if (form.getAttribute("method") === "get") go(`${form.action}?${fields}`);
    else go(form.action, { form: fields });
  } else if (event.submitter?.name === "theme") {
    event.preventDefault();
    paint(event.submitter, form);
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || event.target.closest("#telephone")) return;
  wizard.querySelector("[data-escape]")?.click();
});
addEventListener("popstate", () => go(location.href, { push: false }));

/** Changes the colours at once, and has them remembered. */
function paint(button, form) {
  document.documentElement.dataset.theme = button.value;
  for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
  fetch(form.action, { method: "POST", body: new URLSearchParams({ theme: button.value }), redirect: "manual" }).catch(() => lost(true));
}

watch(told);
begin();
connect(lost);
