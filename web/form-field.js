/** A field of a form, with the place that says what is wrong with it. */

import {byId} from "./dom.js";

export class FormField {
  #problem;

  /** @param {string} id The input's; `<id>-error` has the problem. */
  constructor(id) {
    this.input = /** @type {HTMLInputElement} */ (byId(id));
    this.#problem = byId(`${id}-error`);
    this.input.addEventListener("input", () => this.complain(""));
  }

  get value() {
    return this.input.value.trim();
  }

  set value(/** @type {string} */ value) {
    this.input.value = value;
    this.complain("");
  }

  /** Say what is wrong, and whether anything is. */
  complain(/** @type {string} */ problem) {
    this.#problem.textContent = problem;
    if (problem) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
    if (problem) this.input.focus();
    return problem !== "";
  }
}
