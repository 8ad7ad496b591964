/** Choosing a room to join. */

import {byId, element} from "./dom.js";
import {FormField} from "./form-field.js";
import {plural, problem, roomProblem} from "./words.js";

const MOST = 100;

export class JoinDialog {
  #dialog = byId("join");
  #field = new FormField("room");
  #join;
  #look;

  /** `join` takes a room; `look` gives the rooms that people are in, with their numbers. */
  constructor(join, look) {
    this.#join = join;
    this.#look = look;
    byId("join-open").addEventListener("click", () => this.open());
    byId("join-cancel").addEventListener("click", () => this.#dialog.close());
    byId("join-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const room = this.#field.value;
      if (!this.#field.complain(roomProblem(room))) this.#enter(room);
    });
  }

  async open() {
    this.#field.value = "";
    byId("open-rooms").replaceChildren();
    if (!this.#dialog.open) this.#dialog.showModal();
    try {
      const rooms = Object.entries(await this.#look()).slice(0, MOST);
      byId("open-rooms").replaceChildren(...rooms.map(([room, count]) => this.#item(room, count)));
    } catch (error) {
      this.#field.complain(problem(error));
    }
  }

  #item(room, count) {
    const hash = element("span", {class: "hash", "aria-hidden": "true"}, "#");
    const many = element("span", {class: "aside"}, plural(count, "connection"));
    const name = element("span", {class: "name"}, room);
    const button = element("button", {type: "button", class: "entry"}, hash, name, many);
    button.addEventListener("click", () => this.#enter(room));
    return element("li", {}, button);
  }

  async #enter(room) {
    try {
      await this.#join(room);
      this.#dialog.close();
    } catch (error) {
      this.#field.complain(problem(error));
    }
  }
}
