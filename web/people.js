/** Who is here. */

import {aloud, avatar, byId, element} from "./dom.js";
import {plural} from "./words.js";

// More are not shown: nobody reads them, and the server lists no more than 500.
const MOST = 200;

export class People {
	#write;

	/** `write` begins to write to somebody alone. */
	constructor(write) {
		this.#write = write;
	}

	show(people, nameless, me) {
		const names = [...people.keys()].sort((a, b) => Number(b === me) - Number(a === me) || a.localeCompare(b));
		const focused = document.activeElement.parentElement?.getAttribute("data-name");
		byId("members").replaceChildren(...names.slice(0, MOST).map((name) => this.#item(name, name === me)));
		if (focused) byId("members").querySelector(`[data-name="${CSS.escape(focused)}"] button`)?.focus();
		byId("people-heading").textContent = `People · ${names.length}`;
		const more = names.length > MOST ? `And ${names.length - MOST} more. ` : "";
		byId("nameless").textContent = more + (nameless ? `${plural(nameless, "connection")} without a name` : "");
	}

	#item(name, isMe) {
		const parts = [avatar(name), element("bdi", {class: "name"}, name)];
		if (isMe) return element("li", {}, element("span", {class: "entry"}, ...parts, element("span", {class: "aside"}, "you")));
		const hint = element("span", {class: "aside", "aria-hidden": "true"}, "Message");
		const button = element("button", {class: "entry"}, aloud("Write to "), ...parts, hint);
		button.addEventListener("click", () => this.#write(name));
		return element("li", {"data-name": name}, button);
	}
}
