/** Choosing a room to join. */

import {byId, element} from "./dom.js";
import {FormField} from "./form-field.js";
import {plural, problem, roomProblem} from "./words.js";

export class JoinDialog {
  #dialog = /** @type {HTMLDialogElement} */ (byId("join"));
  #field = new FormField("room");
  #list = byId("open-rooms");
  #hint = byId("open-rooms-hint");
  /** @type {Record<string, number>} */
  #rooms = {};
  #join;
  #look;

  /**
   * @param {(room: string) => Promise<unknown>} join
   * @param {() => Promise<Record<string, number>>} list The rooms with people in them, and how many.
   */
  constructor(join, list) {
    this.#join = join;
    this.#look = list;
    byId("join-open").addEventListener("click", () => void this.open());
    this.#dialog.querySelector("[data-close]")?.addEventListener("click", () => this.#dialog.close());
    this.#field.input.addEventListener("input", () => this.#show());
    byId("join-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#field.complain(roomProblem(this.#field.value))) void this.#enter(this.#field.value);
    });
  }

  async open() {
    if (this.#dialog.open) return;
    this.#rooms = {};
    this.#field.value = "";
    this.#hint.textContent = "Looking…";
    this.#list.replaceChildren();
    this.#dialog.showModal();
    this.#field.input.focus();
    try {
      this.#rooms = await this.#look();
      this.#show();
    } catch (error) {
      this.#hint.textContent = problem(error);
    }
  }

  #show() {
    const wanted = this.#field.value.toLowerCase();
    const found = Object.entries(this.#rooms).filter(([room]) => room.toLowerCase().includes(wanted));
    const items = found.slice(0, 100).map(([room, count]) => {
      const button = element(
        "button",
        {type: "button", class: "entry"},
        element("span", {class: "hash", "aria-hidden": "true"}, "#"),
        element("span", {class: "name"}, room),
        element("span", {class: "aside"}, plural(count, "connection")),
      );
      button.addEventListener("click", () => void this.#enter(room));
      return element("li", {}, button);
    });
    this.#list.replaceChildren(...items);
    this.#hint.textContent = items.length ? "" : wanted ? `Nobody is in ${wanted} yet. Be the first.` : "None yet.";
  }

  async #enter(/** @type {string} */ room) {
    try {
      await this.#join(room);
      this.#dialog.close();
    } catch (error) {
      this.#field.complain(problem(error));
    }
  }
}
