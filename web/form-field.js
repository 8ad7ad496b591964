/** A field of a form, with the place that says what is wrong with it. */

import {byId} from "./dom.js";

export class FormField {
	#problem;

	/** `<id>-error` is where the problem is said. */
	constructor(id) {
		this.input = byId(id);
		this.#problem = byId(`${id}-error`);
		this.input.addEventListener("input", () => this.complain(""));
	}

	get value() {
		return this.input.value.trim();
	}

	set value(value) {
		this.input.value = value;
		this.complain("");
	}

	/** Say what is wrong; true where anything is. */
	complain(problem) {
		this.#problem.textContent = problem;
		this.input.setAttribute("aria-invalid", problem !== "");
		if (problem) this.input.focus();
		return problem !== "";
	}
}
