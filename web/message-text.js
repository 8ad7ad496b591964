/** What somebody has said, as nodes: text, and links to the web. */

import {element, graphemes} from "./dom.js";

// No white space, quotes or brackets, and nothing that turns the direction of what is read.
const LINK = /\bhttps?:\/\/[^\s<>"'`\u200e\u200f\u202a-\u202e\u2066-\u2069]+/giu;
const TRAILING = /[.,;:!?…»\])}*_]$/u;
const OPENERS = {")": "(", "]": "[", "}": "{"};
const EMOJI = /^(?:\p{Extended_Pictographic}|\p{Emoji_Component}|\s)+$/u;
const PICTURE = /\p{Extended_Pictographic}|\p{Regional_Indicator}/u;

export function nodes(text) {
	const found = [];
	let end = 0;
	for (const {0: whole, index} of text.matchAll(LINK)) {
		const shown = trimmed(whole);
		const url = URL.canParse(shown) ? new URL(shown) : null;
		// What stands before an '@' would be taken for the host.
		if (!url || url.username || url.password) continue;
		// noreferrer: where it leads must not learn where it was said.
		const rel = "noopener noreferrer nofollow ugc";
		found.push(text.slice(end, index), element("a", {href: url.href, rel, target: "_blank", dir: "ltr"}, shown));
		end = index + shown.length;
	}
	return [...found, text.slice(end)];
}

/** Whether a text is a few emoji and nothing else. */
export function isEmoji(text) {
	return text.length < 60 && EMOJI.test(text) && PICTURE.test(text) && graphemes(text.replace(/\s/gu, "")).length < 4;
}

/** A link without the punctuation of the sentence around it; a bracket that it opens is its own. */
function trimmed(link) {
	const last = link.at(-1);
	const count = (character) => link.split(character).length;
	if (!TRAILING.test(link) || (last in OPENERS && count(OPENERS[last]) >= count(last))) return link;
	return trimmed(link.slice(0, -1));
}
