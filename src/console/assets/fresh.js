// Keeps a part of a page fresh: fetches the page again now and then and puts the new part into the place of the old one.
// Opened tables stay open and where they were scrolled to, nobody's focus is taken, and nothing is fetched while the page
// is hidden or the reader pauses it.

const part = document.getElementById("fresh");
const pause = document.getElementById("fresh-pause");
const lost = document.getElementById("lost");
const said = document.getElementById("said");
const lostWords = lost.textContent;
const every = 1000 * Number(part.dataset.every);
let paused = false;

/** Whether somebody is at it: then it waits. */
const isUsed = () => paused || document.hidden || part.contains(document.activeElement);

async function refresh() {
  if (isUsed()) return;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin", redirect: "manual" });
    // Signed out: the page itself leads to where one signs in.
    if (answer.type === "opaqueredirect") return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("fresh");
    // What is shown stays, with its time; what went wrong is said in the words of the answer.
    if (!answer.ok || !fresh) return say(page.getElementById("title")?.textContent ?? lostWords);
    if (isUsed()) return;
    put(page, fresh);
    lost.hidden = true;
  } catch {
    say(lostWords);
  }
}

function say(text) {
  if (lost.textContent !== text) lost.textContent = text;
  lost.hidden = false;
}

function put(page, fresh) {
  const before = part.querySelector("[data-say]")?.dataset.say;
  for (const { id } of part.querySelectorAll("details[open]")) fresh.querySelector(`#${id}`)?.setAttribute("open", "");
  const places = [...part.querySelectorAll(".table")].map((table) => [table.ariaLabel, table.scrollTop, table.scrollLeft]);
  part.replaceChildren(...fresh.childNodes);
  for (const table of part.querySelectorAll(".table")) {
    const [, top, left] = places.find(([label]) => label === table.ariaLabel) ?? [];
    if (top || left) table.scrollTo({ top, left, behavior: "instant" });
  }
  document.getElementById("fresh-at").textContent = page.getElementById("fresh-at").textContent;
  const now = part.querySelector("[data-say]")?.dataset.say;
  if (now && now !== before) said.textContent = now;
}

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
});
document.addEventListener("visibilitychange", refresh);
setInterval(refresh, every);
