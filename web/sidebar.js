/** The list of conversations, and who one is. */

import {avatar, byId, element, paint} from "./dom.js";
import {plural} from "./words.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */

export class Sidebar {
  #rooms = byId("rooms");
  #directs = byId("directs");
  #open;

  /** @param {(key: string) => void} open */
  constructor(open) {
    this.#open = open;
    byId("conversations").addEventListener("keydown", (event) => this.#move(event));
  }

  /** @param {Iterable<Conversation>} conversations @param {Conversation | null} active */
  show(conversations, active) {
    const all = [...conversations];
    const rooms = all.filter(({isDirect}) => !isDirect);
    const directs = all.filter(({isDirect}) => isDirect);
    this.#fill(this.#rooms, rooms, active);
    this.#fill(this.#directs, directs, active);
    byId("directs-hint").hidden = directs.length > 0;
    const unread = all.reduce((sum, each) => sum + each.unread, 0);
    const elsewhere = unread - (active?.unread ?? 0);
    const badge = byId("unread-elsewhere");
    badge.hidden = !elsewhere;
    badge.replaceChildren(capped(elsewhere), element("span", {class: "visually-hidden"}, " unread elsewhere"));
    document.title = `${unread ? `(${capped(unread)}) ` : ""}${active ? `${active.title} – ` : ""}Chalice Chat`;
  }

  /** Show who one is. */
  showMe(/** @type {string} */ name) {
    byId("me-name").textContent = name;
    paint(byId("me-avatar"), name);
  }

  /** Show how the connection is. */
  showState(/** @type {string} */ words, /** @type {boolean} */ good) {
    byId("state").textContent = words;
    byId("state").classList.toggle("good", good);
  }

  #fill(
    /** @type {HTMLElement} */ list,
    /** @type {Conversation[]} */ conversations,
    /** @type {Conversation | null} */ active,
  ) {
    const items = new Map([...list.children].map((item) => [item.getAttribute("data-key"), item]));
    conversations.forEach((conversation, index) => {
      const {key, unread} = conversation;
      const item = items.get(key) ?? this.#item(conversation);
      items.delete(key);
      if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
      const button = /** @type {HTMLElement} */ (item.firstElementChild);
      if (conversation === active) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
      button.classList.toggle("unread", unread > 0);
      const badge = /** @type {HTMLElement} */ (button.lastElementChild);
      badge.hidden = !unread;
      if (badge.dataset.unread !== String(unread)) {
        badge.dataset.unread = String(unread);
        const words = ` ${plural(unread, "unread message")}`;
        const shown = element("span", {"aria-hidden": "true"}, capped(unread));
        badge.replaceChildren(shown, element("span", {class: "visually-hidden"}, words));
      }
    });
    for (const item of items.values()) item.remove();
  }

  #item(/** @type {Conversation} */ {key, title, isDirect}) {
    const mark = isDirect ? avatar(title) : element("span", {class: "hash", "aria-hidden": "true"}, "#");
    const name = element("bdi", {class: "name"}, title);
    const badge = element("span", {class: "badge", hidden: true});
    const button = element("button", {type: "button", class: "entry"}, mark, name, badge);
    button.addEventListener("click", () => this.#open(key));
    return element("li", {"data-key": key}, button);
  }

  /** By the arrow keys, from one to the next. */
  #move(/** @type {KeyboardEvent} */ event) {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!step) return;
    const entries = /** @type {HTMLElement[]} */ ([...byId("conversations").querySelectorAll(".entry")]);
    const here = entries.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    if (here < 0) return;
    event.preventDefault();
    entries[(here + step + entries.length) % entries.length].focus();
  }
}

function capped(/** @type {number} */ number) {
  return number > 99 ? "99+" : String(number);
}
