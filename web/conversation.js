/**
 * A room, or what two people say to each other: what there is to show of it. What was said is {id, seq, epoch, from,
 * text, sentAt, mine}, or {id, notice, sentAt}; what is being sent is {ref, id, from, text, sentAt, failed}.
 */

// What is kept of a room that nobody scrolls in; older messages are in the history.
const KEPT = 300;
const SLACK = 100;
// A client that types says so every few seconds.
const TYPING_MS = 6000;

export class Conversation {
	said = [];
	sending = [];
	/** Messages that nobody has looked at. */
	unread = 0;
	/** The id of the first of them, even when somebody has. */
	marker = null;
	hasOlder = false;
	/** Whether the first messages are here. */
	begun = false;
	/** Names here, with their numbers of connections; of a crowd, some. */
	people = new Map();
	nameless = 0;
	isCrowd = false;
	isListed = false;
	/** Where the people go on, for `who`. */
	next = null;
	draft = "";
	#ids = new Set();
	// Until when somebody types.
	#typing = new Map();

	/** `key`: a room, or `@` and a name; `@` alone has what the nameless have written. */
	constructor(key) {
		this.key = key;
		this.isDirect = key.startsWith("@");
		this.title = this.isDirect ? key.slice(1) || "Somebody" : key;
		// A label is not an address: nobody can be answered who has no name.
		this.canAnswer = key !== "@";
	}

	/** Take a message that comes next; false where it is here. `seen`: whether somebody looks. */
	receive(message, seen) {
		const {id, from, mine, text} = message;
		if (this.#ids.has(id)) return false;
		this.#ids.add(id);
		if (mine) {
			// A message has no ref: the ack tells its id, and may not have come yet. Until then the same text may be
			// that of another tab: what is being sent is out of sight, and not dropped.
			const known = this.sending.find((each) => each.id === id);
			if (known) this.drop(known);
			else Object.assign(this.sending.find((each) => each.id === null && !each.like && each.text === text) ?? {}, {like: id});
		}
		this.#typing.delete(from);
		this.said.push(message);
		if (!mine && !seen) {
			this.unread += 1;
			this.marker ??= id;
		}
		return true;
	}

	prepend(messages) {
		const older = messages.filter(({id}) => !this.#ids.has(id));
		for (const {id} of older) this.#ids.add(id);
		this.said.unshift(...older);
	}

	/** Note something that nobody has said. */
	note(notice) {
		const last = this.said.at(-1);
		if (last?.notice !== notice) this.said.push({id: null, notice, sentAt: last?.sentAt ?? Date.now()});
	}

	trim() {
		if (this.isDirect || this.said.length <= KEPT + SLACK) return;
		for (const {id} of this.said.splice(0, this.said.length - KEPT)) this.#ids.delete(id);
		this.hasOlder = true;
	}

	/** The server has stored what was sent; it may have come already. */
	acknowledged(sending, id) {
		Object.assign(sending, {id, like: null});
		if (this.#ids.has(id)) this.drop(sending);
	}

	/** What is being sent, as far as it is to be shown. */
	get unsettled() {
		return this.sending.filter(({like}) => !like);
	}

	drop(sending) {
		this.sending = this.sending.filter((each) => each !== sending);
	}

	/** The oldest, and the newest, that somebody has said. */
	get first() {
		return this.said.find(({text}) => text);
	}

	get last() {
		return this.said.findLast(({text}) => text);
	}

	/** Take a page of the people; `after` is null for the first. */
	sees({members, nameless, after: next}, after) {
		if (!after) Object.assign(this, {people: new Map(), nameless: 0});
		for (const [name, number] of Object.entries(members)) {
			this.people.set(name, number + (this.people.get(name) ?? 0));
		}
		this.nameless += nameless;
		this.next = next;
		this.isListed = true;
	}

	types(name, typing) {
		this.#typing.set(name, typing ? Date.now() + TYPING_MS : 0);
	}

	whoTypes() {
		return this.isCrowd ? [] : [...this.#typing].filter(([, until]) => until > Date.now()).map(([name]) => name);
	}
}
