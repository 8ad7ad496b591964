/** What one can set: one's name, and whether the connection's figures are shown. */

import {byId, onClick, onSubmit} from "./dom.js";
import {FormField} from "./form-field.js";
import {forget} from "./memory.js";
import {nameProblem, normalName, problem} from "./words.js";

export class Settings {
	/** `renamed` is told when one has another name; null where the token has it. */
	constructor(chat, operator, renamed) {
		const dialog = byId("settings");
		const field = new FormField("rename");
		const figures = byId("figures");
		byId("rename-field").hidden = renamed === null;
		figures.checked = operator.isShown;
		figures.addEventListener("change", () => operator.show(figures.checked));
		onClick("settings-open", () => {
			field.value = chat.name;
			dialog.showModal();
		});
		onClick("sign-out", () => {
			chat.close();
			forget();
			location.reload();
		});
		onSubmit("settings-form", async () => {
			try {
				const wanted = normalName(field.value);
				if (wanted !== chat.name) {
					if (field.complain(nameProblem(field.value))) return;
					await chat.setName(wanted);
					renamed();
				}
				dialog.close();
			} catch (error) {
				field.complain(problem(error));
			}
		});
	}
}
