/** The messages of one conversation, in the order of the scroll. */

import {aloud, avatar, byId, element, icon, quietButton, write} from "./dom.js";
import {isEmoji, nodes} from "./message-text.js";
import {day, plural, sameDay, time} from "./words.js";

const ROUND = "M10 3.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM10 6.5";
const MARKS = {
	Sent: "M4.5 10.5l3.5 3.5 7.5-8",
	Sending: `${ROUND}V10l2.5 1.5`,
	"Not sent": `${ROUND}v4.5M10 13.3v.200`,
};
// Within this time, one who goes on speaking is not named again.
const BREATH_MS = 5 * 60 * 1000;
// How near to the top older messages are fetched, and to the bottom one counts as reading.
const NEAR_TOP = 600;
const NEAR_BOTTOM = 48;
const LONG = 1600;
const MANY_LINES = 24;

export class Timeline {
	#reader;
	#scroller = byId("scroller");
	#list = byId("messages");
	#jump = byId("jump");
	#shown = null;
	// The rows of what has been said, in order.
	#rows = new Map();
	#atEnd = true;
	#frame = 0;
	// How many messages have come that are below what is in sight.
	#below = 0;

	/** `reader` has what is asked for: older(conversation), seen(), settle(sending, again). */
	constructor(reader) {
		this.#reader = reader;
		this.#scroller.addEventListener("scroll", () => this.#scrolled(), {passive: true});
		this.#jump.addEventListener("click", () => {
			this.toEnd();
			this.#scroller.focus();
		});
		// Whatever makes it higher, who reads the end reads on at the end.
		const keep = new ResizeObserver(() => this.#atEnd && this.#goToEnd());
		keep.observe(this.#list);
		keep.observe(this.#scroller);
	}

	get isAtEnd() {
		return this.#atEnd;
	}

	/** Show a conversation: its end, or its first new message if that is further up. */
	show(conversation) {
		this.#shown = conversation;
		this.#clear();
		this.#below = conversation.unread;
		this.#atEnd = true;
		this.#render();
		this.#goToEnd();
		const above = (this.#list.querySelector(".marker")?.offsetTop ?? Infinity) - 80;
		if (above < this.#scroller.scrollTop) this.#scroller.scrollTop = above;
		this.#scrolled();
	}

	/** A conversation has changed: if it is the one that is shown, show it so, once a frame. */
	changed(conversation, news = 0) {
		if (conversation !== this.#shown) return;
		this.#below += news;
		this.#frame ||= requestAnimationFrame(() => this.#render());
	}

	toEnd() {
		this.#atEnd = true;
		this.#goToEnd();
		this.#scrolled();
	}

	#goToEnd() {
		this.#scroller.scrollTop = this.#scroller.scrollHeight;
	}

	#clear() {
		this.#rows.clear();
		this.#list.replaceChildren();
	}

	#scrolled() {
		const {scrollTop, scrollHeight, clientHeight} = this.#scroller;
		this.#atEnd = scrollHeight - clientHeight - scrollTop <= NEAR_BOTTOM;
		this.#showPlace();
		if (this.#shown?.hasOlder && scrollTop < NEAR_TOP) this.#reader.older(this.#shown);
	}

	#showPlace() {
		this.#jump.hidden = this.#atEnd;
		this.#scroller.classList.toggle("end", this.#atEnd);
		if (this.#atEnd) {
			this.#below = 0;
			this.#reader.seen();
			return;
		}
		const words = this.#below ? plural(this.#below, "new message") : "To the newest";
		if (this.#jump.textContent !== words) this.#jump.replaceChildren(words, icon("M10 4v12M5 11l5 5 5-5"));
		this.#jump.classList.toggle("news", this.#below > 0);
	}

	#render() {
		cancelAnimationFrame(this.#frame);
		this.#frame = 0;
		const conversation = this.#shown;
		if (this.#atEnd) conversation.trim();
		const {said, unsettled: sending, begun, marker} = conversation;
		if (!marker) this.#list.querySelector(".marker")?.remove();
		this.#forget(new Set(said));
		this.#prepend(said, marker);
		this.#append(said, marker);
		this.#renderSending(conversation);
		write("older", olderText(conversation));
		byId("empty").hidden = !begun || said.length + sending.length > 0;
		this.#showPlace();
	}

	#forget(kept) {
		for (const [item, row] of this.#rows) {
			if (kept.has(item)) break;
			while (row.previousElementSibling) row.previousElementSibling.remove();
			row.remove();
			this.#rows.delete(item);
		}
	}

	/** Put older messages above, and leave in sight what is in sight. */
	#prepend(said, marker) {
		const [[first, row] = []] = this.#rows;
		const start = said.indexOf(first);
		if (start <= 0) return;
		const before = row.getBoundingClientRect().top;
		// Its day and its name are said above it now.
		while (row.previousElementSibling) row.previousElementSibling.remove();
		const [, ...known] = this.#rows;
		this.#rows.clear();
		row.replaceWith(...this.#rowsOf(said, 0, start + 1, marker));
		const moved = this.#rows.get(first).getBoundingClientRect().top - before;
		for (const [item, each] of known) this.#rows.set(item, each);
		this.#scroller.scrollTop += moved;
	}

	#append(said, marker) {
		let from = said.length;
		while (from > 0 && !this.#rows.has(said[from - 1])) from -= 1;
		const rows = this.#rowsOf(said, from, said.length, marker);
		const sending = this.#list.querySelector(":scope > .sending");
		if (sending) sending.before(...rows);
		else this.#list.append(...rows);
	}

	#rowsOf(said, from, to, marker) {
		const rows = [];
		for (let at = from; at < to; at += 1) {
			const [before, item] = [said[at - 1], said[at]];
			if (!before || !sameDay(before.sentAt, item.sentAt)) rows.push(line("day", day(item.sentAt)));
			const isNew = item.id !== null && item.id === marker;
			if (isNew) rows.push(line("marker", "New messages"));
			const row = item.notice ? line("notice", item.notice) : messageRow(item, isNew || !goesOn(before, item));
			if (item.mine) row.append(stateMark("Sent"));
			this.#rows.set(item, row);
			rows.push(row);
		}
		return rows;
	}

	#renderSending({said, unsettled: sending}) {
		const rows = [...this.#list.querySelectorAll(":scope > .sending")];
		const states = sending.map(({ref, id, failed}) => `${ref} ${id} ${failed}`);
		if (rows.map((row) => row.dataset.state).join() === states.join()) return;
		for (const row of rows) row.remove();
		sending.forEach((each, at) => {
			const row = messageRow({...each, mine: true}, at === 0 && !goesOn(said.at(-1), each));
			row.classList.add("sending");
			row.dataset.state = states[at];
			if (each.failed !== null) {
				row.classList.add("failed");
				const retry = quietButton("Try again", () => this.#reader.settle(each, true));
				const drop = quietButton("Delete", () => this.#reader.settle(each, false));
				row.append(element("p", {class: "failure"}, `Not sent. ${each.failed} `, retry, drop));
			}
			row.append(stateMark(each.failed !== null ? "Not sent" : each.id === null ? "Sending" : "Sent"));
			this.#list.append(row);
		});
	}
}

/** Whether somebody speaks on, and need not be named again. */
function goesOn(before, item) {
	if (!before?.text || before.from !== item.from) return false;
	return item.sentAt - before.sentAt < BREATH_MS && sameDay(before.sentAt, item.sentAt);
}

function line(kind, words) {
	return element("li", {class: kind}, element("span", {}, words));
}

function messageRow({from, text, sentAt, mine}, named) {
	const row = element("li", {class: `message${named ? " named" : ""}${mine ? " mine" : ""}`});
	const at = element("time", {datetime: new Date(sentAt).toISOString()}, time(sentAt));
	const author = from ?? "Somebody";
	if (named) row.append(avatar(from), element("p", {class: "meta"}, element("bdi", {class: "author"}, author), at));
	else row.append(aloud(author), at);
	const shown = element("div", {class: isEmoji(text) ? "text emoji" : "text", dir: "auto"}, ...nodes(text));
	row.append(shown);
	if (text.length > LONG || text.split("\n").length > MANY_LINES) {
		shown.classList.add("long");
		const all = quietButton("Show all", () => {
			shown.classList.remove("long");
			all.remove();
		});
		row.append(all);
	}
	return row;
}

function stateMark(words) {
	return element("span", {class: "state", title: words}, icon(MARKS[words]), aloud(words));
}

function olderText({begun, said, hasOlder, isDirect}) {
	if (!begun) return "Loading messages…";
	if (!said.length) return "";
	if (hasOlder) return "Loading older messages…";
	// The chat keeps a private message for who gets it alone.
	return isDirect ? "What you write here yourself is shown for this visit." : "This is the beginning.";
}
