/** Choosing a room to join. */

import {byId, element, onClick, onSubmit} from "./dom.js";
import {FormField} from "./form-field.js";
import {plural, problem} from "./words.js";

const MOST = 100;

export class JoinDialog {
	#dialog = byId("join");
	#field = new FormField("room");
	#chat;
	#join;
	#show;

	/** `join` joins a room, `show` shows it then. */
	constructor(chat, join, show) {
		this.#chat = chat;
		this.#join = join;
		this.#show = show;
		onClick("join-open", () => this.open());
		onClick("join-cancel", () => this.#dialog.close());
		onSubmit("join-form", () => this.#enter(this.#field.value));
	}

	async open() {
		this.#field.value = "";
		byId("open-rooms").replaceChildren();
		if (!this.#dialog.open) this.#dialog.showModal();
		try {
			const rooms = Object.entries((await this.#chat.listRooms()).rooms).slice(0, MOST);
			byId("open-rooms").replaceChildren(...rooms.map(([room, count]) => this.#item(room, count)));
		} catch (error) {
			this.#field.complain(problem(error));
		}
	}

	#item(room, count) {
		const hash = element("span", {class: "hash", "aria-hidden": "true"}, "#");
		const many = element("span", {class: "aside"}, plural(count, "connection"));
		const name = element("span", {class: "name"}, room);
		const click = () => this.#enter(room);
		return element("li", {}, element("button", {type: "button", class: "entry", click}, hash, name, many));
	}

	async #enter(room) {
		try {
			await this.#join(room);
			this.#dialog.close();
			this.#show(room);
		} catch (error) {
			this.#field.complain(problem(error));
		}
	}
}
