/** What somebody has said, as nodes: text, and links to the web. */

import {element} from "./dom.js";

// No white space, quotes or brackets, and nothing that turns the direction of what is read.
const LINK = /\bhttps?:\/\/[^\s<>"'`\u200e\u200f\u202a-\u202e\u2066-\u2069]+/giu;
const TRAILING = /[.,;:!?…»\])}*_]+$/u;
const EMOJI = /^(?:\p{Extended_Pictographic}|\p{Emoji_Component}|\s)+$/u;
const PICTURE = /\p{Extended_Pictographic}|\p{Regional_Indicator}/u;
const FEW = 3;

const graphemes = new Intl.Segmenter(undefined, {granularity: "grapheme"});

/**
 * Split a text into text and links.
 *
 * @param {string} text
 * @returns {(string | {href: string, shown: string})[]}
 */
export function parts(text) {
  const found = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const shown = trimmed(match[0]);
    const url = URL.canParse(shown) ? new URL(shown) : null;
    // What stands before an '@' is to be taken for the host.
    if (!url || url.username || url.password) continue;
    found.push(text.slice(end, match.index), {href: url.href, shown});
    end = match.index + shown.length;
  }
  found.push(text.slice(end));
  return found.filter((part) => part !== "");
}

/** Make the nodes of a text. */
export function nodes(/** @type {string} */ text) {
  return parts(text).map((part) => {
    if (typeof part === "string") return document.createTextNode(part);
    // noreferrer: where it leads must not learn where it was said.
    const rel = "noopener noreferrer nofollow ugc";
    return element("a", {href: part.href, rel, target: "_blank", dir: "ltr"}, part.shown);
  });
}

/** Whether a text is a few emoji and nothing else. */
export function isEmoji(/** @type {string} */ text) {
  if (text.length > 60 || !EMOJI.test(text) || !PICTURE.test(text)) return false;
  return [...graphemes.segment(text.replace(/\s/gu, ""))].length <= FEW;
}

/** A link without the punctuation of the sentence around it; brackets that it opens are its own. */
function trimmed(/** @type {string} */ link) {
  let rest = link;
  for (let tail = TRAILING.exec(rest); tail; tail = TRAILING.exec(rest)) {
    const last = rest.at(-1);
    const opener = last === ")" ? "(" : last === "]" ? "[" : last === "}" ? "{" : null;
    if (opener && count(rest, opener) >= count(rest, /** @type {string} */ (last))) break;
    rest = rest.slice(0, -1);
  }
  return rest;
}

function count(/** @type {string} */ text, /** @type {string} */ character) {
  return text.split(character).length - 1;
}
