// The list of countries as a box to type into (WAI-ARIA pattern "combobox with list autocomplete"). Without scripts it
// is a plain select; that select keeps the value that the form sends.

import { say } from "./texts.js";

/** Letters without accents, kana of one kind, small. */
const plain = (text) => text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase()
  .replace(/[\u3041-\u3096]/g, (kana) => String.fromCharCode(kana.charCodeAt(0) + 0x60));

/** Turns the select into a box. `changed` is called when another country is chosen. */
export function enhance(select, changed) {
  const box = select.parentElement;
  const countries = [...select.options].map((option) => ({
    code: option.value, name: option.dataset.name, label: option.textContent.trim(), calling: `+${option.dataset.code}`,
    search: plain(`${option.dataset.search} +${option.dataset.code} ${option.dataset.code}`),
  }));
  const make = (tag, attributes) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const flag = make("img", { class: "flag", alt: "", width: 22, height: 22 });
  const input = make("input", {
    id: "country-search", type: "text", role: "combobox", autocomplete: "off", spellcheck: "false",
    "aria-expanded": "false", "aria-controls": "country-list", "aria-autocomplete": "list", placeholder: say("phone-country-search"),
  });
  const list = make("ul", { id: "country-list", role: "listbox", "aria-labelledby": "country-label" });
  const count = make("p", { class: "visually-hidden", role: "status" });
  list.hidden = select.hidden = true;
  box.append(flag, input, list, count);
  document.getElementById("country-label").htmlFor = input.id;
  let shown = [];
  let active = -1;

  const chosen = () => countries.find((country) => country.code === select.value) ?? countries[0];
  const settle = () => {
    input.value = chosen().label;
    flag.src = `/demo/flags/${chosen().code}.svg`;
  };
  const isOpen = () => !list.hidden;

  function activate(index) {
    list.children[active]?.classList.remove("active");
    active = index;
    const option = list.children[active];
    option?.classList.add("active");
    if (option) {
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }

  function fill(wanted) {
    const words = plain(wanted).split(/[\s()]+/).filter(Boolean);
    const begins = (country) => country.search.startsWith(words[0] ?? "") || plain(country.name).startsWith(words[0] ?? "");
    shown = countries.filter((country) => words.every((word) => country.search.includes(word)));
    if (words.length) shown.sort((one, other) => begins(other) - begins(one));
    list.replaceChildren(...shown.map((country) => {
      const option = make("li", { id: `country-${country.code}`, role: "option", "aria-selected": String(country.code === select.value) });
      const name = make("span", {});
      name.textContent = country.name;
      const calling = make("span", {});
      calling.textContent = country.calling;
      option.append(make("img", { src: `/demo/flags/${country.code}.svg`, alt: "", loading: "lazy", width: 22, height: 22 }), name, calling);
      return option;
    }));
    if (!shown.length) {
      const nobody = make("li", { class: "none" });
      nobody.textContent = say("phone-country-none");
      list.append(nobody);
    }
    active = -1;
    count.textContent = say(shown.length ? "phone-country-count" : "phone-country-none", { count: shown.length });
  }

  function open(wanted) {
    fill(wanted);
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    activate(wanted ? 0 : shown.findIndex((country) => country.code === select.value));
  }

  function close() {
    list.hidden = true;
    count.textContent = "";
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    settle();
  }

  function choose(index) {
    const country = shown[index];
    if (country && country.code !== select.value) {
      select.value = country.code;
      changed();
    }
    close();
  }

  const moves = {
    ArrowDown: () => (isOpen() ? activate(Math.min(active + 1, shown.length - 1)) : open("")),
    ArrowUp: () => (isOpen() ? activate(Math.max(active - 1, 0)) : open("")),
    PageDown: () => isOpen() && activate(Math.min(active + 6, shown.length - 1)),
    PageUp: () => isOpen() && activate(Math.max(active - 6, 0)),
  };
  input.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (move) {
      event.preventDefault();
      move();
    } else if (event.key === "Enter" && isOpen()) {
      event.preventDefault();
      choose(active);
    } else if (event.key === "Escape" && isOpen()) {
      event.preventDefault();
      event.stopPropagation();
      close();
      input.select();
    } else if (event.key === "Tab" && isOpen()) choose(active);
  });
  input.addEventListener("input", () => open(input.value));
  input.addEventListener("focus", () => input.select());
  input.addEventListener("click", () => { if (!isOpen()) { open(""); input.select(); } });
  input.addEventListener("blur", close);
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) choose([...list.children].indexOf(option));
  });
  settle();
}
