/** Who is here. */

import {aloud, avatar, byId, element, quietButton, write} from "./dom.js";
import {plural} from "./words.js";

export class People {
	#write;
	#more;

	/** `write` begins to write to somebody alone, `more` shows more people. */
	constructor(write, more) {
		this.#write = write;
		this.#more = quietButton("Show more", more);
		byId("nameless").after(this.#more);
	}

	show(people, nameless, me, next = null) {
		const names = [...people.keys()].sort((a, b) => Number(b === me) - Number(a === me) || a.localeCompare(b));
		const focused = document.activeElement.parentElement?.getAttribute("data-name");
		byId("members").replaceChildren(...names.map((name) => this.#item(name, name === me)));
		if (focused) byId("members").querySelector(`[data-name="${CSS.escape(focused)}"] button`)?.focus();
		write("nameless", nameless ? `${plural(nameless, "connection")} without a name` : "");
		this.#more.hidden = !next;
	}

	#item(name, isMe) {
		const parts = [avatar(name), element("bdi", {class: "name"}, name)];
		if (isMe) return element("li", {}, element("span", {class: "entry"}, ...parts, element("span", {class: "aside"}, "you")));
		const hint = element("span", {class: "aside", "aria-hidden": "true"}, "Message");
		const click = () => this.#write(name);
		return element("li", {"data-name": name}, element("button", {class: "entry", click}, aloud("Write to "), ...parts, hint));
	}
}
