/** Finding and making elements. Text is set as text: nothing on this page parses HTML. */

/** @returns {any} */
export function byId(id) {
	return document.getElementById(id);
}

/** Set the text of an element: what is the same again is not read aloud again. */
export function write(id, words) {
	if (byId(id).textContent !== words) byId(id).textContent = words;
}

export function onClick(id, run) {
	byId(id).addEventListener("click", run);
}

/** Do something in place of sending a form. */
export function onSubmit(id, run) {
	byId(id).addEventListener("submit", (event) => {
		event.preventDefault();
		run();
	});
}

/** Make an element; a function listens. An attribute that is false is left out. @returns {any} */
export function element(tag, attributes = {}, ...children) {
	const made = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (typeof value === "function") made.addEventListener(name, value);
		else if (value !== false) made.setAttribute(name, value === true ? "" : value);
	}
	made.append(...children);
	return made;
}

/** A button that is nothing but words. */
export function quietButton(label, click) {
	return element("button", {class: "quiet", type: "button", click}, label);
}

/** Text for who does not see. */
export function aloud(text) {
	return element("span", {class: "visually-hidden"}, text);
}

/** An icon of strokes on a field of 20 by 20. */
export function icon(path) {
	const [svg, strokes] = ["svg", "path"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
	svg.setAttribute("viewBox", "0 0 20 20");
	svg.setAttribute("aria-hidden", "true");
	strokes.setAttribute("d", path);
	svg.append(strokes);
	return svg;
}

/** The round mark of a name: its initial, on a tint that is always the same for the name. */
export function avatar(name, mark = element("span")) {
	const [first] = graphemes(name ?? "·");
	mark.className = "avatar";
	mark.setAttribute("aria-hidden", "true");
	mark.textContent = first.toLocaleUpperCase();
	let hash = 0;
	for (const character of name ?? "") hash = Math.imul(hash ^ character.codePointAt(0), 16777619);
	mark.style.setProperty("--hue", String(((hash >>> 16) % 12) * 30));
	return mark;
}

const segmenter = new Intl.Segmenter(undefined, {granularity: "grapheme"});

/** What people take for characters. */
export function graphemes(text) {
	return Array.from(segmenter.segment(text), ({segment}) => segment);
}
