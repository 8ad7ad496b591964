/** The list of conversations, and who one is. */

import {aloud, avatar, byId, element, write} from "./dom.js";
import {plural} from "./words.js";

export class Sidebar {
	#open;

	/** `open` takes the key of a conversation. */
	constructor(open) {
		this.#open = open;
		byId("conversations").addEventListener("keydown", (event) => this.#move(event));
	}

	show(conversations, active) {
		const [rooms, directs] = [false, true].map((direct) => conversations.filter((each) => each.isDirect === direct));
		this.#fill(byId("rooms"), rooms, active);
		this.#fill(byId("directs"), directs, active);
		byId("directs-hint").hidden = directs.length > 0;
		const unread = conversations.reduce((sum, each) => sum + each.unread, 0);
		badge(byId("unread"), unread - (active?.unread ?? 0));
		document.title = `${unread ? `(${unread}) ` : ""}${active ? `${active.title} – ` : ""}Chalice Chat`;
	}

	showMe(name) {
		write("me-name", name);
		avatar(name, byId("me-avatar"));
	}

	#fill(list, conversations, active) {
		const items = new Map([...list.children].map((item) => [item.dataset.key, item]));
		const wanted = conversations.map((each) => items.get(each.key) ?? this.#item(each));
		if (wanted.length !== list.children.length || wanted.some((item, at) => item !== list.children[at])) {
			list.replaceChildren(...wanted);
		}
		conversations.forEach((each, at) => {
			const button = wanted[at].firstElementChild;
			button.setAttribute("aria-current", each === active);
			button.classList.toggle("unread", each.unread > 0);
			badge(button.lastElementChild, each.unread);
		});
	}

	#item({key, title, isDirect}) {
		const mark = isDirect ? avatar(title) : element("span", {class: "hash", "aria-hidden": "true"}, "#");
		const name = element("bdi", {class: "name"}, title);
		const click = () => this.#open(key);
		const button = element("button", {class: "entry", click}, mark, name, element("span", {class: "badge"}));
		return element("li", {"data-key": key}, button);
	}

	#move(event) {
		const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
		const entries = [...byId("conversations").querySelectorAll(".entry")];
		const here = entries.indexOf(document.activeElement);
		if (!step || here < 0) return;
		event.preventDefault();
		entries.at((here + step) % entries.length).focus();
	}
}

function badge(mark, unread) {
	mark.hidden = !unread;
	if (mark.dataset.unread === String(unread)) return;
	mark.dataset.unread = unread;
	const shown = element("span", {"aria-hidden": "true"}, unread > 99 ? "99+" : String(unread));
	mark.replaceChildren(shown, aloud(` ${plural(unread, "unread message")}`));
}
