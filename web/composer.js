/** Where one writes. */

import {byId, onSubmit, write} from "./dom.js";

const LONGEST = 4096;
// From here on, it is told how much is left.
const NEARLY = 3900;
const TYPING_MS = 3000;

export class Composer {
	#text = byId("text");
	#typing;
	#saidAt = 0;
	#timer;

	/** `send` takes a text, `typing` whether one types. */
	constructor(send, typing) {
		this.#typing = typing;
		onSubmit("composer", () => {
			const text = this.draft.trimEnd().normalize("NFC");
			if (!text.trim() || [...text].length > LONGEST) return;
			// What is sent says that one types no more.
			this.#saidAt = 0;
			this.draft = "";
			send(text);
		});
		this.#text.addEventListener("keydown", (event) => {
			// The Enter that ends a composition, as of Japanese, is not for us. Safari says so by its code alone.
			if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
			event.preventDefault();
			this.#text.form.requestSubmit();
		});
		this.#text.addEventListener("input", () => {
			this.#show();
			this.#tell(this.draft.trim() !== "");
		});
	}

	get draft() {
		return this.#text.value;
	}

	set draft(text) {
		this.#text.value = text;
		this.#show();
		this.#tell(false);
	}

	/** Say whom one writes to. */
	address(to) {
		write("text-label", (this.#text.placeholder = `Message ${to}`));
	}

	focus() {
		this.#text.focus();
	}

	#show() {
		const {style} = this.#text;
		style.height = "auto";
		style.height = `${this.#text.scrollHeight}px`;
		const length = [...this.draft].length;
		write("left", length > NEARLY ? `${LONGEST - length} characters left` : "");
		byId("send").toggleAttribute("data-idle", !this.draft.trim() || length > LONGEST);
	}

	#tell(typing) {
		clearTimeout(this.#timer);
		if (typing) this.#timer = setTimeout(() => this.#tell(false), TYPING_MS);
		if (typing ? Date.now() - this.#saidAt < TYPING_MS : !this.#saidAt) return;
		this.#saidAt = typing ? Date.now() : 0;
		// Where it could not be said, the next letter says it.
		this.#typing(typing)?.catch(() => (this.#saidAt = 0));
	}
}
