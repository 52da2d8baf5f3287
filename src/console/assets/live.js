// A part of a page that changes while it is looked at. The server sends it whole whenever it is another; here it takes the
// place of what stands there: rows stay where they are and change what they say, so that nothing jumps.

const live = document.getElementById("live");
const lost = document.getElementById("lost");
const said = document.getElementById("said");
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;

/** What is held back while somebody reads. */
let held = null;

/** Whether the reader is at it: then the list waits, and a button says so. */
function isRead() {
  const list = document.getElementById(live.dataset.hold);
  return Boolean(list) && (list.matches(":hover") || list.contains(document.activeElement) || scrollY > list.offsetTop);
}

function take(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html").body;
  if (live.dataset.hold && isRead() && others(fresh)) {
    held = fresh;
    hold(true);
    stages(fresh);
    return;
  }
  put(fresh);
}

/** Whether other calls than those that are shown would stand in the list. */
function others(fresh) {
  const ids = (of) => [...of.querySelectorAll("tr[data-id]")].map((row) => row.dataset.id).join();
  return ids(fresh) !== ids(live);
}

function hold(is) {
  const button = document.getElementById("held");
  if (button) button.hidden = !is;
}

/** The calls that are shown go on telling how far they are. */
function stages(fresh) {
  for (const row of live.querySelectorAll("tr[data-id]")) {
    const newer = fresh.querySelector(`tr[data-id="${CSS.escape(row.dataset.id)}"]`);
    if (newer) refill(row, newer);
  }
}

function put(fresh) {
  held = null;
  say(fresh);
  const [old, body] = [live.querySelector("tbody"), fresh.querySelector("tbody")];
  if (old && body) {
    const [rows, newer] = [[...old.rows], [...body.rows]];
    newer.forEach((row, at) => {
      if (rows[at]) refill(rows[at], row);
      else old.append(row);
    });
    rows.slice(newer.length).forEach((row) => row.remove());
    live.querySelector(".over-table").replaceChildren(...fresh.querySelector(".over-table").childNodes);
    return;
  }
  // Steps are added, not made anew: who reads them with a screen reader stays where they are.
  const [steps, more] = [live.querySelector("#steps"), fresh.querySelector("#steps")];
  if (steps && more) {
    [...more.children].forEach((step, at) => {
      if (!steps.children[at]) steps.append(step);
      else refill(steps.children[at], step);
    });
    steps.className = more.className;
    more.replaceWith(steps);
  }
  live.replaceChildren(...fresh.childNodes);
}

/** Lets an element say what another one says. */
function refill(old, newer) {
  if (old.outerHTML === newer.outerHTML) return;
  for (const { name, value } of newer.attributes) old.setAttribute(name, value);
  if (old.innerHTML === newer.innerHTML) return;
  const copies = [...newer.childNodes].map((node) => node.cloneNode(true));
  if (old.contains(document.activeElement) && document.activeElement.matches("a")) {
    // The focus stays on the link of its call.
    const focused = [...old.querySelectorAll("a")].indexOf(document.activeElement);
    old.replaceChildren(...copies);
    old.querySelectorAll("a")[focused]?.focus({ preventScroll: true });
    return;
  }
  old.replaceChildren(...copies);
}

/** Reads out what is new, once. */
function say(fresh) {
  const text = fresh.querySelector("[data-say]")?.dataset.say ?? "";
  const before = live.querySelector("[data-say]")?.dataset.say ?? "";
  if (text && text !== before) said.textContent = text;
}

function follow(wait = FIRST_WAIT_MS) {
  const source = new EventSource(live.dataset.events);
  let next = wait;
  source.addEventListener("open", () => { next = FIRST_WAIT_MS; lost.hidden = true; });
  source.addEventListener("message", (event) => take(event.data));
  source.addEventListener("error", () => {
    // Closed for good: signed out, or nothing more will come (the page says the rest when it is loaded again).
    if (source.readyState !== EventSource.CLOSED) return;
    fetch(live.dataset.events, { method: "GET", headers: { accept: "text/event-stream" } }).then((answer) => {
      answer.body?.cancel();
      if (answer.status === 204 || answer.status === 404) return;
      if (answer.status === 401) location.reload();
      else setTimeout(follow, next, Math.min(next * 2, LONGEST_WAIT_MS));
    }).catch(() => {
      lost.hidden = false;
      setTimeout(follow, next, Math.min(next * 2, LONGEST_WAIT_MS));
    });
  });
  addEventListener("pagehide", () => source.close(), { once: true });
}

document.addEventListener("click", (event) => {
  if (event.target.closest("#held") && held) {
    scrollTo({ top: 0 });
    put(held);
    hold(false);
    document.getElementById("title").focus({ preventScroll: true });
  }
});
document.addEventListener("pointerout", () => { if (held && !isRead()) { put(held); hold(false); } });

if (live && !("still" in live.dataset)) follow();
