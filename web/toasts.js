/** Short notes that go away by themselves. */

import {byId, element} from "./dom.js";

const STAY_MS = 7000;

export function toast(text) {
	const note = element("p", {class: "toast"}, text);
	byId("toasts").append(note);
	setTimeout(() => note.remove(), STAY_MS);
}
