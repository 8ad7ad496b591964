/** Short notes that go away by themselves. */

import {byId, element} from "./dom.js";

const STAY_MS = 7000;

export function toast(text) {
  const toasts = byId("toasts");
  const same = [...toasts.children].find((note) => note.textContent === text);
  same?.remove();
  const note = element("p", {class: "toast"}, text);
  toasts.append(note);
  if (toasts.children.length > 3) toasts.firstElementChild.remove();
  setTimeout(() => note.remove(), STAY_MS);
}
