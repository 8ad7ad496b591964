/** Short notes that go away by themselves. */

import {byId, element} from "./dom.js";

const STAY_MS = 6000;
const MOST = 3;

/** @param {string} text @param {{label: string, run: () => void}} [action] */
export function toast(text, action) {
  const toasts = byId("toasts");
  const note = element("div", {class: "toast"}, element("p", {}, text));
  if (action) {
    const button = element("button", {class: "quiet", type: "button"}, action.label);
    button.addEventListener("click", () => {
      note.remove();
      action.run();
    });
    note.append(button);
  }
  // The same again says nothing new.
  for (const other of [...toasts.children]) {
    if (other.firstElementChild?.textContent === text) other.remove();
  }
  toasts.append(note);
  while (toasts.children.length > MOST) toasts.firstElementChild?.remove();
  let timer = setTimeout(() => note.remove(), STAY_MS);
  // Who reads it, or is about to answer it, keeps it.
  for (const type of ["pointerenter", "focusin"]) note.addEventListener(type, () => clearTimeout(timer));
  for (const type of ["pointerleave", "focusout"]) {
    note.addEventListener(type, () => (timer = setTimeout(() => note.remove(), STAY_MS)));
  }
}
