/** Who is here. */

import {avatar, byId, element} from "./dom.js";
import {plural} from "./words.js";

// More are not shown: nobody reads them, and the server lists no more than 500.
const MOST = 200;

export class People {
  #write;

  /** @param {(name: string) => void} write Begins to write to somebody alone. */
  constructor(write) {
    this.#write = write;
  }

  /** @param {Map<string, number>} people @param {number} nameless @param {string} me */
  show(people, nameless, me) {
    const names = [...people.keys()].sort((a, b) => Number(b === me) - Number(a === me) || a.localeCompare(b));
    const focused = document.activeElement?.closest("#members li")?.getAttribute("data-name");
    const items = names.slice(0, MOST).map((name) => {
      const label = element("bdi", {class: "name"}, name);
      if (name === me) {
        const you = element("span", {class: "aside"}, "you");
        return element("li", {"data-name": name}, element("span", {class: "entry"}, avatar(name), label, you));
      }
      const hint = element("span", {class: "aside", "aria-hidden": "true"}, "Message");
      const said = element("span", {class: "visually-hidden"}, "Write to ");
      const button = element("button", {type: "button", class: "entry"}, avatar(name), said, label, hint);
      button.addEventListener("click", () => this.#write(name));
      if (name === focused) queueMicrotask(() => button.focus());
      return element("li", {"data-name": name}, button);
    });
    byId("members").replaceChildren(...items);
    byId("people-heading").textContent = names.length ? `People · ${names.length}` : "People";
    const others = [];
    if (names.length > MOST) others.push(`and ${names.length - MOST} more`);
    if (nameless) others.push(`${plural(nameless, "connection")} without a name`);
    byId("nameless").textContent = others.join(", ");
    byId("nameless").hidden = !others.length;
  }
}
