// What every page of the console has: the search by a key, the own time zone, colours that change at once. All of it works
// without, by plain forms.

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, [contenteditable]");
  const search = document.getElementById("q");
  if (event.key !== "/" || typing || !search || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  search.focus();
  search.select();
});

// The zone of this device is one press away; which one a page is in stays the reader's choice.
const zones = document.getElementById("zone");
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
const known = zones && [...zones.options].find((option) => option.value === own);
if (known) {
  known.textContent = `${own} (${zones.dataset.own})`;
  known.value = own;
  zones.insertBefore(known, zones.options[1] ?? null);
}

document.addEventListener("submit", (event) => {
  if (event.submitter?.name !== "theme") return;
  event.preventDefault();
  const button = event.submitter;
  document.documentElement.dataset.theme = button.value;
  for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
  const body = new URLSearchParams({ theme: button.value });
  fetch(event.target.action, { method: "POST", body, redirect: "manual" }).catch(() => {});
});
