/** A panel at the side: part of a wide page, and a drawer over a narrow one. */

import {byId} from "./dom.js";

export class Drawer {
  #panel;
  #opener;
  #narrow;
  #isOpen = false;

  /** @param {string} panel @param {string} opener @param {string} query When the page is too narrow for it. */
  constructor(panel, opener, query) {
    this.#panel = byId(panel);
    this.#opener = byId(opener);
    this.#narrow = matchMedia(query);
    this.#opener.addEventListener("click", () => (this.#isOpen ? this.close() : this.open()));
    this.#narrow.addEventListener("change", () => this.#apply(false));
    byId("scrim").addEventListener("click", () => this.close());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#isOpen && this.#narrow.matches) this.close();
    });
    this.#apply(false);
  }

  open() {
    this.#apply(true);
    if (!this.#narrow.matches) return;
    const first = /** @type {HTMLElement | null} */ (
      this.#panel.querySelector("[aria-current]") ?? this.#panel.querySelector("button:not([hidden])")
    );
    first?.focus();
  }

  close() {
    if (!this.#isOpen) return;
    const had = this.#panel.contains(document.activeElement);
    this.#apply(false);
    if (had) this.#opener.focus();
  }

  #apply(/** @type {boolean} */ open) {
    this.#isOpen = open;
    const narrow = this.#narrow.matches;
    this.#panel.inert = narrow && !open;
    this.#panel.classList.toggle("open", open);
    this.#opener.setAttribute("aria-expanded", String(open));
    byId("scrim").hidden = !narrow || !document.querySelector(".app > .open");
  }
}
