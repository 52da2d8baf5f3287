// The texts of the page in its language, as the server wrote them into it.

const all = JSON.parse(document.getElementById("texts").textContent);

/** A text, its {slots} filled; nothing where there is none. */
export function say(id, slots = {}) {
  return Object.entries(slots).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, value), all[id] ?? "");
}

/** Whether there is a text of this id. */
export const knows = (id) => id in all;
