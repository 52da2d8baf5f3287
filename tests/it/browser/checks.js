// Looks at the page for what keeps people out, and returns every fault in words: beside axe-core, which knows no width of
// a page and no inline style of ours, and is content with less where it cannot tell a colour.

const faults = [];
const nameOf = (element) => element.id ? `#${element.id}` : element.outerHTML.slice(0, 90);
const visible = (element) => element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
const all = (selector) => [...document.querySelectorAll(selector)].filter(visible);

// The page as a whole.
if (!/^(en|ja)$/.test(document.documentElement.lang)) faults.push("the page does not say its language");
if (!document.title.trim()) faults.push("the page has no title");
if (document.querySelectorAll("h1").length !== 1) faults.push("there must be one first heading");
if (all("main").length !== 1) faults.push("there must be one main part");
const ids = [...document.querySelectorAll("[id]")].map((element) => element.id).filter(Boolean);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`the id ${id} stands twice`);
if (document.querySelector("[style]")) faults.push(`inline style: ${nameOf(document.querySelector("[style]"))}`);
if (document.querySelector("[tabindex]:not([tabindex='0']):not([tabindex='-1'])")) faults.push("an order of its own for the Tab key");
if (document.documentElement.scrollWidth > innerWidth) {
  const wide = all("body *").filter((element) => element.getBoundingClientRect().right > innerWidth + 1).map(nameOf);
  faults.push(`the page is ${document.documentElement.scrollWidth} wide on a screen of ${innerWidth}: ${wide.slice(0, 3).join(", ")}`);
}

// Names of what can be used.
const label = (element) => {
  const by = (element.getAttribute("aria-labelledby") ?? "").split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();
  const own = element.labels?.length ? [...element.labels].map((one) => one.textContent).join(" ") : "";
  return by || element.getAttribute("aria-label") || own || element.textContent || element.getAttribute("title") || "";
};
for (const element of all("a[href], button, input:not([type=hidden]), select, [role=combobox], [role=listbox], [role=group], [role=region], section, nav")) {
  if (!label(element).trim()) faults.push(`no name: ${nameOf(element)}`);
}
for (const element of document.querySelectorAll("[aria-describedby], [aria-labelledby], [aria-controls], [aria-activedescendant], label[for]")) {
  for (const attribute of ["aria-describedby", "aria-labelledby", "aria-controls", "aria-activedescendant", "for"]) {
    for (const id of (element.getAttribute(attribute) ?? "").split(/\s+/).filter(Boolean)) {
      if (!document.getElementById(id)) faults.push(`${attribute} of ${nameOf(element)} leads nowhere: ${id}`);
    }
  }
}
for (const image of document.querySelectorAll("img:not([alt])")) faults.push(`no text instead of a picture: ${nameOf(image)}`);
for (const element of all("a[href], button, input:not([type=hidden]):not([type=radio]), select")) {
  const { width, height } = element.getBoundingClientRect();
  const inText = element.matches("p a");
  if (!inText && (width < 24 || height < 24)) faults.push(`too small to hit (${width}×${height}): ${nameOf(element)}`);
}

// Contrast of every text with what lies behind it (WCAG 2.2, success criterion 1.4.3). Any colour is read back from a
// canvas, so that no notation of the style sheet has to be understood.
const canvas = document.createElement("canvas");
canvas.width = canvas.height = 1;
const paper = canvas.getContext("2d", { willReadFrequently: true });
const rgba = (colour) => {
  paper.clearRect(0, 0, 1, 1);
  paper.fillStyle = colour;
  paper.fillRect(0, 0, 1, 1);
  return [...paper.getImageData(0, 0, 1, 1).data].map((value) => value / 255);
};
const over = ([r, g, b, a], [r2, g2, b2]) => [r * a + r2 * (1 - a), g * a + g2 * (1 - a), b * a + b2 * (1 - a), 1];
const behind = (element) => {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const colour = rgba(getComputedStyle(at).backgroundColor);
    if (colour[3] > 0) layers.push(colour);
    if (colour[3] === 1) break;
  }
  return layers.reduceRight((under, layer) => over(layer, under), [1, 1, 1, 1]);
};
const luminance = (colour) => {
  const [r, g, b] = colour.map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const texts = all("body *").filter((element) => !element.closest("svg, script, noscript, option, .visually-hidden")
  && ([...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim()) || element.matches("input, select")));
for (const element of texts) {
  const style = getComputedStyle(element);
  const ground = behind(element);
  const ink = over(rgba(style.color), ground);
  const [bright, dim] = [luminance(ink), luminance(ground)].sort((one, other) => other - one);
  const contrast = (bright + 0.05) / (dim + 0.05);
  const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
  // What cannot be used now need not stand out, but it has to be readable all the same.
  const need = large || element.closest(":disabled") ? 3 : 4.5;
  if (contrast < need) faults.push(`contrast ${contrast.toFixed(2)} of “${element.textContent.trim().slice(0, 30)}” (${nameOf(element)}): ${style.color} on ${ground.slice(0, 3).map((value) => Math.round(value * 255))}`);
}
return [...new Set(faults)];
