/** Making and finding elements. Text is set as text: nothing here, or anywhere on this page, parses HTML. */

/**
 * The element with an id, which the page has.
 *
 * @template {Element} [E=HTMLElement]
 * @param {string} id
 */
export function byId(id) {
  return /** @type {E} */ (/** @type {unknown} */ (document.getElementById(id)));
}

/**
 * Make an element.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | boolean>} [attributes] One that is false is left out.
 * @param {...(Node | string | null)} children
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/** Make an icon of strokes on a field of 20 by 20. */
export function icon(/** @type {string} */ path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  const strokes = document.createElementNS(SVG, "path");
  strokes.setAttribute("d", path);
  svg.append(strokes);
  return svg;
}

/** Make the round mark of a name: its initial, on a tint that is always the same for the name. */
export function avatar(/** @type {string | null} */ name) {
  const made = element("span", {class: "avatar", "aria-hidden": "true"});
  paint(made, name);
  return made;
}

/** Make an element the mark of a name. */
export function paint(/** @type {HTMLElement} */ mark, /** @type {string | null} */ name) {
  mark.textContent = name === null ? "·" : initial(name);
  mark.style.setProperty("--hue", String(hue(name ?? "")));
}

const graphemes = new Intl.Segmenter(undefined, {granularity: "grapheme"});

function initial(/** @type {string} */ name) {
  for (const {segment} of graphemes.segment(name)) return segment.toLocaleUpperCase();
  return "";
}

function hue(/** @type {string} */ name) {
  let sum = 7;
  for (const character of name) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 3600;
  return sum % 360;
}
