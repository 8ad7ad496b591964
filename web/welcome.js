/** The door: under which name one comes in, and to which chat where the page does not know. */

import {chatUrl} from "./config.js";
import {byId, onSubmit} from "./dom.js";
import {FormField} from "./form-field.js";
import {nameProblem, normalName} from "./words.js";

/** Ask for what is not known: `name` is proposed, unless the token has one. */
export function welcome(name, hasName, url) {
	const dialog = byId("welcome");
	const [nameField, urlField] = [new FormField("name"), new FormField("url")];
	nameField.value = name;
	byId("name-field").hidden = hasName;
	byId("url-field").hidden = url !== null;
	// There is no way around the door.
	dialog.addEventListener("cancel", (event) => event.preventDefault());
	dialog.showModal();
	return new Promise((resolve) => {
		onSubmit("welcome-form", () => {
			const chat = url ?? chatUrl(urlField.value);
			if (!hasName && nameField.complain(nameProblem(nameField.value))) return;
			if (chat === null) return urlField.complain("The address of a chat begins with wss:// or ws://.");
			dialog.close();
			resolve([normalName(nameField.value), chat]);
		});
	});
}
