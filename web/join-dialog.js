/** Choosing a room to join. */

import {byId, element} from "./dom.js";
import {FormField} from "./form-field.js";
import {plural, problem} from "./words.js";

const MOST = 100;

export class JoinDialog {
	#dialog = byId("join");
	#field = new FormField("room");
	#chat;
	#show;

	/** `show` takes the room that has been joined. */
	constructor(chat, show) {
		this.#chat = chat;
		this.#show = show;
		byId("join-open").addEventListener("click", () => this.open());
		byId("join-cancel").addEventListener("click", () => this.#dialog.close());
		byId("join-form").addEventListener("submit", (event) => {
			event.preventDefault();
			this.#enter(this.#field.value);
		});
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
		const button = element("button", {type: "button", class: "entry"}, hash, name, many);
		button.addEventListener("click", () => this.#enter(room));
		return element("li", {}, button);
	}

	async #enter(room) {
		try {
			await this.#chat.join(room);
			this.#dialog.close();
			this.#show(room);
		} catch (error) {
			this.#field.complain(problem(error));
		}
	}
}
