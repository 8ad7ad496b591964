/** A panel at the side: part of a wide page, and a drawer over a narrow one. */

import {byId, onClick} from "./dom.js";

export class Drawer {
	#panel;
	#opener;
	#narrow;

	/** `query` says when the page is too narrow for it. */
	constructor(panel, opener, query) {
		this.#panel = byId(panel);
		this.#opener = byId(opener);
		this.#narrow = matchMedia(query);
		this.#opener.addEventListener("click", () => {
			this.#set(true);
			(this.#panel.querySelector("[aria-current=true]") ?? this.#panel.querySelector("button")).focus();
		});
		this.#narrow.addEventListener("change", () => this.#set(false));
		onClick("scrim", () => this.close());
		addEventListener("keydown", ({key}) => key === "Escape" && this.close());
		this.#set(false);
	}

	close() {
		if (!this.#panel.classList.contains("open")) return;
		this.#set(false);
		this.#opener.focus();
	}

	#set(open) {
		// What is behind it cannot be reached.
		document.querySelector("main").inert = open;
		this.#panel.classList.toggle("open", open);
		this.#opener.setAttribute("aria-expanded", open);
		byId("scrim").hidden = !open;
	}
}
