/**
 * A client of Chalice Chat that stays connected: it loses no message, gives none twice, and gives those of a room
 * in order. docs/web.md has more, types/chat-client.d.ts the types.
 */

const LOBBY = "lobby";
const LONGEST_HISTORY = 100;
const SHORTEST_WAIT = 0.5;
const LONGEST_WAIT = 30;
// A gap may close by itself. All in a room see the same ones: together they ask so many questions a second.
const GAP_SECONDS = 0.5;
const QUESTIONS_PER_SECOND = 500;
// After a reconnect, a room is asked for within so long; after a ping, so long for each room.
const RESUME_SECONDS = 2;
const LOOK_SECONDS = 0.5;
const QUESTIONS_AT_ONCE = 4;
// Requests under way at most; one counts for so long, as its reply may get lost.
const WINDOW = 20;
const PATIENCE_SECONDS = 1;
// The same for what is said one by one, to keep its order.
const ORDER_SECONDS = 5;
// Nothing is sent for so long after API Gateway has refused a frame itself, then twice that, and so on.
const REFUSED_SECONDS = 1;
const MOST_REFUSED_SECONDS = 8;
// API Gateway takes no larger frame, in bytes, and closes the connection for one of another kind, text or size.
const LARGEST_FRAME = 32 * 1024;
const UNACCEPTABLE = new Set([1003, 1007, 1009]);
const MOST_CLOSURES = 3;
// What an event must have for the client not to break; others are ignored.
const MUST_HAVE = {
	message: {room: "string", seq: "number", epoch: "string", message: "string"},
	messages: {room: "string", messages: "object"},
	private: {id: "string", to: "string", message: "string"},
	presence: {room: "string", name: "string", event: "string"},
	occupancy: {room: "string", count: "number"},
	typing: {room: "string"},
	left: {room: "string"},
	history: {messages: "object", through: "number"},
	who: {members: "object"},
	error: {code: "string", message: "string"},
};
// A timer that is so late says that the machine has slept; those of a hidden page come once a minute.
const SLEPT_SECONDS = 90;
const CLOCK_SECONDS = 10;
// Ids of private messages, which have no number; names, and when they came or went.
const REMEMBERED = 10_000;
// What setTimeout can wait for.
const DAY = 24 * 60 * 60;
const OVER = {code: "token_expired", reason: "Your session has ended", retryAfter: null};
const EXPELLED = new Set(["not_in_room", "forbidden"]);

/** Root of every error that the client raises. */
export class ChatError extends Error {}

/** The server answered with an error. `code` is the wire's; to say it again under `ref` is safe. */
export class RequestFailed extends ChatError {
	/** @param {WireError} error */
	constructor({code, message, ref}) {
		super(message);
		this.code = code;
		this.ref = ref;
	}
}

/** No answer came in time: it may have been done. To say it again under `ref` is safe. */
export class NoAnswer extends ChatError {
	/** @param {string} ref */
	constructor(ref) {
		super("no answer in time");
		this.ref = ref;
	}
}

/** The connection was lost, and with it the refs of a nameless client: what it said may have been sent. */
export class Unconfirmed extends ChatError {}

/** A request is too large for a frame, or not text: it has not been sent. */
export class Unsendable extends ChatError {}

/** The client is not open, or not any more. */
export class Closed extends ChatError {}

/** The claims of a JWT, unchecked. @param {string} token @returns {Record<string, unknown>} */
export function claims(token) {
	try {
		const body = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
		return JSON.parse(new TextDecoder().decode(Uint8Array.from(body, (byte) => byte.charCodeAt(0))));
	} catch {
		return {};
	}
}

/** Waits with full jitter, from none to a bound that doubles, so that clients spread out. */
class Backoff {
	#bound = SHORTEST_WAIT;

	next(random) {
		const wait = random() * this.#bound;
		this.#bound = Math.min(this.#bound * 2, LONGEST_WAIT);
		return wait;
	}
}

/** A map that forgets what was set first. */
class Recent extends Map {
	set(key, value) {
		this.delete(key);
		super.set(key, value);
		if (this.size > REMEMBERED) this.delete(this.keys().next().value);
		return this;
	}
}

/** The log of one room. client/room_log.py is the same in Python, and says what it rests on and why. */
export class RoomLog {
	begun = false;
	#history;
	#epoch = null;
	#former = new Set();
	// Up to here, everything has been given or was not to be.
	#position = 0;
	#given = 0;
	#saidMissed = false;
	// What has come from beyond the position, or before the beginning.
	#held = new Map();
	#joinedAt = Infinity;
	#behind = true;

	constructor(room, history) {
		this.room = room;
		this.#history = history;
	}

	/** Begin at `seq` at the latest. */
	joined(seq) {
		this.#joinedAt = seq;
	}

	/** Messages may have passed unseen. */
	resume() {
		this.#behind = true;
	}

	/** What has to be asked now; null while nothing is missing. */
	question() {
		if (!this.#behind && !this.#held.size) return null;
		if (!this.begun) return {after: null, epoch: null, limit: Math.max(this.#history, 1), held: 0};
		const held = Math.max(0, ...this.#held.keys());
		return {after: this.#position, epoch: this.#epoch, limit: LONGEST_HISTORY, held};
	}

	/** Whether nothing is missing but a gap, which what is on its way may close. */
	get mayClose() {
		return this.begun && !this.#behind;
	}

	/** Take a message that has come live; give what is next in order. */
	live(message) {
		if (this.begun) return [...this.#take(message)];
		this.#held.set(message.seq, message);
		return [];
	}

	/** Take the answer to a question; give what is next in order. */
	answered(question, answer) {
		if (question.after === null) return [...this.#begin(answer)];
		// The log has turned since, or begins earlier.
		if (question.epoch !== this.#epoch || question.after > this.#position) return [];
		return [...this.#continue(question.held, question.after, answer)];
	}

	*#begin({messages, through, epoch}) {
		const wanted = this.#history ? messages : [];
		const position = wanted.length ? wanted[0].seq - 1 : through;
		this.#position = Math.min(position, this.#joinedAt);
		this.#behind = this.#position < position;
		this.#epoch = epoch;
		this.begun = true;
		const early = [...this.#held.values()];
		this.#held.clear();
		for (const message of [...wanted, ...early].sort((a, b) => a.seq - b.seq)) yield* this.#take(message);
		if (!this.#behind && this.#epoch === epoch) yield* this.#settle(through);
	}

	*#take(message) {
		const {seq, epoch} = message;
		if (this.#former.has(epoch)) return;
		if (epoch !== this.#epoch) yield* this.#turn(epoch);
		if (seq <= this.#given) return;
		if (seq <= this.#position) {
			// It was on its way when the log began.
			this.#behind ||= seq < this.#position;
			this.#position = seq - 1;
		}
		this.#held.set(seq, message);
		yield* this.#giveNext();
	}

	*#continue(held, after, answer) {
		const {messages, seq: newest, epoch, more, through} = answer;
		let lossy = !answer.complete;
		if (epoch !== this.#epoch || newest < after) {
			// Another numbering, or this one cut back.
			yield* this.#turn(epoch, epoch === this.#epoch ? newest : 0);
			lossy = false;
		}
		for (const message of messages) if (message.seq > this.#position) this.#held.set(message.seq, message);
		const first = messages[0]?.seq ?? through;
		this.#behind = more && through > after;
		const settled = more ? through : Math.max(through, held);
		for (const seq of this.#heldInOrder()) {
			if (seq > settled) break;
			if (lossy && seq > this.#position + 1 && !(first < seq && seq <= through)) yield* this.#miss();
			yield this.#give(seq);
		}
		if (lossy && !messages.length && this.#position < through) yield* this.#miss();
		yield* this.#settle(through);
	}

	/** Go on in another numbering: this one is over. */
	*#turn(epoch, seq = 0) {
		if (this.#epoch !== null) {
			yield* this.#miss();
			for (const each of this.#heldInOrder()) yield this.#give(each);
			this.#former.add(this.#epoch);
		}
		// None but an answer goes back to one: live, it is late.
		this.#former.delete(epoch);
		this.#epoch = epoch;
		this.#position = this.#given = seq;
	}

	/** Nothing else is coming up to `seq`. */
	*#settle(seq) {
		for (const each of this.#heldInOrder()) if (each <= seq) yield this.#give(each);
		this.#position = Math.max(this.#position, seq);
		yield* this.#giveNext();
	}

	*#giveNext() {
		while (this.#held.has(this.#position + 1)) yield this.#give(this.#position + 1);
	}

	#give(seq) {
		const message = this.#held.get(seq);
		this.#held.delete(seq);
		this.#position = this.#given = seq;
		this.#saidMissed = false;
		return message;
	}

	#heldInOrder() {
		return [...this.#held.keys()].sort((a, b) => a - b);
	}

	/** Say, once, that messages are missing here. */
	*#miss() {
		if (!this.#saidMissed) yield {type: "missed", room: this.room, after: this.#position};
		this.#saidMissed = true;
	}
}

/** One socket. */
class Link {
	open = true;
	// Whether it was closed for a frame that the other end does not take.
	isUnacceptable = false;
	openedAt = Date.now();
	#end = Promise.withResolvers();

	constructor(socket) {
		this.socket = socket;
		this.ended = this.#end.promise;
		socket.onclose = ({code}) => {
			this.isUnacceptable = UNACCEPTABLE.has(code);
			this.#ended();
		};
	}

	/** Close it, and wait for no farewell: a dead peer has none. */
	drop() {
		this.socket.onmessage = null;
		this.socket.close(1000);
		this.#ended();
	}

	#ended() {
		this.open = false;
		this.#end.resolve(null);
	}
}

/**
 * Sends requests, and matches the replies by their `ref`. One whose connection is lost is sent again by the next;
 * or, where `whenLost` is "once", only if the server knows its ref there; or, where it is "never", given up, and where
 * it is "now", not even kept waiting. After one that was too fast, all wait; what has queued up goes one by one, and so
 * does what was said without a link. Time for an answer passes only while there is a link.
 */
class Outbox {
	#waiting = new Map();
	#link = null;
	#window = WINDOW;
	#holds = 0;
	#refusals = 0;

	/** Make a request and wait for its reply; fields that are null are left out. Aborted, it is not sent any more. */
	async request(action, fields, {seconds, ref = randomRef(), whenLost = "again", urgent = false, signal = null}) {
		if (this.#waiting.has(ref)) throw new RangeError(`a request with the ref ${ref} is under way`);
		signal?.throwIfAborted();
		const frame = encode(action, fields, ref);
		const {promise, resolve, reject} = Promise.withResolvers();
		// Parked, it is not to be sent by this link; busy, it keeps others back.
		const state = {link: null, parked: false, busy: false, doubtful: false, closures: 0};
		const clock = new Countdown(seconds, () => reject(new NoAnswer(ref)));
		const request = {frame, whenLost, urgent, clock, resolve, reject, ...state};
		const abort = () => reject(signal.reason);
		signal?.addEventListener("abort", abort);
		this.#waiting.set(ref, request);
		if (this.#link) clock.start();
		this.#send();
		if (whenLost === "now" && !request.link) reject(new Closed("it cannot be sent now"));
		try {
			return await promise;
		} finally {
			clock.stop();
			signal?.removeEventListener("abort", abort);
			this.#waiting.delete(ref);
			this.#send();
		}
	}

	/** Hand a reply to who waits for it; false where nobody does. */
	answered(reply) {
		const request = this.#waiting.get(reply.ref);
		if (request) this.#refusals = 0;
		if (reply.type === "error") request?.reject(new RequestFailed(reply));
		else request?.resolve(reply);
		return !!request;
	}

	/** A request was too fast: so many s later, it and the others may be sent. */
	tooFast(reply, seconds) {
		const request = this.#waiting.get(reply.ref);
		if (!request) return;
		if (request.whenLost === "now") this.answered(reply);
		else request.link = null;
		this.#hold(seconds);
	}

	/** API Gateway has refused a request by this link, and does not say which: what has no answer soon is sent again. */
	refused(link, named, jitter) {
		for (const request of this.#waiting.values()) {
			const {whenLost} = request;
			request.doubtful = request.link === link && whenLost !== "now" && (whenLost !== "once" || named);
		}
		this.#hold(Math.min(MOST_REFUSED_SECONDS, REFUSED_SECONDS * 2 ** this.#refusals) + jitter);
		this.#refusals += 1;
	}

	/** Send nothing for so many s, and then one by one. */
	#hold(seconds) {
		this.#window = 1;
		this.#holds += 1;
		setTimeout(() => {
			this.#holds -= 1;
			for (const request of this.#waiting.values()) {
				if (request.doubtful && !this.#holds) Object.assign(request, {doubtful: false, link: null});
			}
			this.#send();
		}, seconds * 1000);
	}

	/** A request has not been done: send it again when a link is `opened`. */
	park(ref) {
		const request = this.#waiting.get(ref);
		if (request) Object.assign(request, {link: null, parked: true});
	}

	/** Send by this link from now on. */
	opened(link) {
		this.#link = link;
		let said = 0;
		for (const request of this.#waiting.values()) {
			request.parked = false;
			request.clock.start();
			if (request.whenLost === "once" && !request.link) said += 1;
		}
		// What was said first is to come first.
		if (said > 1) this.#window = 1;
		this.#send();
	}

	/** Take back what a link has not answered; `named` says that the server does no ref twice. */
	lost(link, named) {
		if (this.#link === link) {
			this.#link = null;
			for (const {clock} of this.#waiting.values()) clock.stop();
		}
		if (link.isUnacceptable) this.#findUnacceptable(link);
		for (const [ref, request] of this.#waiting) {
			if (request.link !== link) continue;
			Object.assign(request, {link: null, doubtful: false});
			const {whenLost, reject} = request;
			if (whenLost === "again" || (whenLost === "once" && named)) continue;
			this.park(ref);
			reject(new (whenLost === "once" ? Unconfirmed : Closed)("the connection was lost"));
		}
		this.#send();
	}

	/** Fail the only request under way, or whichever has met that often enough. */
	#findUnacceptable(link) {
		const suspects = [...this.#waiting.values()].filter((request) => request.link === link);
		this.#window = 1;
		for (const request of suspects) {
			request.closures += 1;
			if (suspects.length > 1 && request.closures < MOST_CLOSURES) continue;
			request.reject(new Unsendable("the other end does not take such a frame"));
			request.whenLost = "never";
		}
	}

	waitsFor(link) {
		return [...this.#waiting.values()].some((request) => request.link === link);
	}

	end(error) {
		for (const {reject} of this.#waiting.values()) reject(error);
	}

	/** Send what may be sent now. */
	#send() {
		// An urgent one need not wait for its turn.
		while (this.#link?.open && !this.#holds) {
			const all = [...this.#waiting.values()];
			const unsent = all.filter(({link, parked}) => !link && !parked);
			if (!unsent.length) this.#window = WINDOW;
			const isFull = all.filter(({link, busy}) => link && busy).length >= this.#window;
			const request = unsent.find(({urgent}) => urgent) ?? (isFull ? null : unsent[0]);
			if (!request) return;
			request.link = this.#link;
			request.busy = true;
			this.#link.socket.send(request.frame);
			setTimeout(() => {
				request.busy = false;
				this.#send();
			}, (request.whenLost === "once" && this.#window === 1 ? ORDER_SECONDS : PATIENCE_SECONDS) * 1000);
		}
	}
}

/** Ends after so many s in which it has run. */
class Countdown {
	#left;
	#end;
	#timer = null;
	#since = 0;

	constructor(seconds, end) {
		this.#left = seconds * 1000;
		this.#end = end;
	}

	start() {
		if (this.#timer !== null) return;
		this.#since = Date.now();
		this.#timer = setTimeout(this.#end, this.#left);
	}

	stop() {
		if (this.#timer === null) return;
		clearTimeout(this.#timer);
		this.#timer = null;
		this.#left = Math.max(0, this.#left - (Date.now() - this.#since));
	}
}

/**
 * A connection to the chat that outlives its sockets. What is said in a room once `connect` or `join` has resolved
 * is given as `message`, each once and in order. Requests raise RequestFailed, NoAnswer, Unconfirmed, Unsendable and
 * Closed.
 */
export class ChatClient extends EventTarget {
	/** The user, as the last `setName` left it. @type {string | null} */
	name;
	/** @type {State["state"]} */
	state = "closed";
	#url;
	#options;
	#backoff = new Backoff();
	#outbox = new Outbox();
	#logs;
	// Not in the URL before the server has let one in.
	#joining = new Map();
	// Joins, leaves and renamings: so far, and under way.
	#moves = 0;
	#moving = 0;
	#asking = new Set();
	#asked = 0;
	#queue = [];
	#counts = new Map();
	#latest = new Recent();
	#privates = new Recent();
	#token = null;
	#link = null;
	#goodbye = null;
	#attempt = 0;
	#closed = false;
	#started = false;
	#ready = Promise.withResolvers();
	#endWait = (_) => {};
	#renewal;

	/** @param {string} url The chat's. @param {ChatOptions} [options] */
	constructor(url, options = {}) {
		super();
		this.#url = new URL(url);
		if (!["ws:", "wss:"].includes(this.#url.protocol)) throw new RangeError(`no ws or wss URL: ${url}`);
		const waits = {pingSeconds: 300, answerSeconds: 30, probeSeconds: 5, rolloverSeconds: 110 * 60, renewSeconds: 60};
		const start = {name: null, rooms: [LOBBY], history: 0, token: null};
		this.#options = {...start, ...waits, random: Math.random, ...options};
		const {name, rooms, history, token, random, ...seconds} = this.#options;
		if (!Array.isArray(rooms) || rooms.some((room) => typeof room !== "string")) {
			throw new TypeError("rooms must be an array of names");
		}
		if (name !== null && typeof name !== "string") throw new TypeError("name must be a string or null");
		for (const [what, number] of Object.entries(seconds)) {
			if (what.endsWith("Seconds") && !(number > 0)) throw new RangeError(`${what} must be above 0`);
		}
		if (!(history >= 0 && history <= LONGEST_HISTORY)) throw new RangeError("history must be from 0 to 100");
		this.name = name;
		this.#logs = new Map(rooms.map((room) => [room, new RoomLog(room, history)]));
		this.#ready.promise.catch(() => {});
	}

	/** @template {keyof ChatEvents} T @param {T} type @param {(event: ChatEvents[T]) => void} listener */
	on(type, listener) {
		this.addEventListener(type, (event) => listener(/** @type {CustomEvent} */ (event).detail));
	}

	/** @returns {string[]} */
	get rooms() {
		return [...this.#logs.keys()];
	}

	/** Connect, however long it takes, until it is known where each room begins. @returns {Promise<void>} */
	connect() {
		if (!this.#started) this.#live();
		this.#started = true;
		return this.#ready.promise;
	}

	/** Close for good. May be called again. */
	close() {
		this.#finish(null);
	}

	/** Connect now, or make sure that one is connected: the network is back, or the machine awake. */
	wake() {
		this.#endWait(null);
		if (this.#link) this.#probe(this.#link, this.#options.probeSeconds);
	}

	/**
	 * Say something, once however often the connection is lost; `ref` is that of an attempt that failed. Without a
	 * connection it waits for one, and `signal` can abort it.
	 *
	 * @param {string} text @param {string} [room] @param {SayOptions} [options] @returns {Promise<Ack>}
	 */
	say(text, room = LOBBY, options) {
		return this.#request("onMessage", {room, message: text}, {...options, whenLost: "once"});
	}

	/** As `say`, to one user. @param {SayOptions} [options] @returns {Promise<Ack>} */
	private(/** @type {string} */ to, /** @type {string} */ text, options) {
		return this.#request("privateMessage", {to, message: text}, {...options, whenLost: "once"});
	}

	/** Join a room, over all connections from now on. @param {string} room @returns {Promise<Joined>} */
	async join(room) {
		const log = this.#logs.get(room) ?? this.#joining.get(room) ?? new RoomLog(room, this.#options.history);
		this.#joining.set(room, log);
		try {
			const joined = await this.#move("joinRoom", {room});
			if (!log.begun) log.joined(joined.seq);
			this.#counts.set(room, joined.count);
			this.#logs.set(room, log);
			this.#catchUp(log);
			return joined;
		} finally {
			this.#joining.delete(room);
		}
	}

	/** Leave a room. @param {string} room */
	async leave(room) {
		await this.#move("leaveRoom", {room});
		this.#forget(room);
	}

	/** Take a name: `name` has its normal form then. @param {string} name */
	async setName(name) {
		this.name = (await this.#move("setName", {name})).name;
	}

	/**
	 * Who is in a room: everybody, or a page of `limit` connections, `after` what the page before it gave.
	 *
	 * @param {string} [room] @param {{limit?: number, after?: string}} [options] @returns {Promise<WhoIsThere>}
	 */
	async who(room = LOBBY, {limit, after} = {}) {
		const people = new Map();
		let [page, nameless] = [null, 0];
		do {
			page = await this.#request("who", {room, limit, after: page?.after ?? after});
			for (const [name, number] of Object.entries(page.members)) people.set(name, number + (people.get(name) ?? 0));
			nameless += page.nameless;
		} while (page.more && !limit && !after);
		this.#counts.set(room, page.count);
		return {...page, members: Object.fromEntries(people), nameless};
	}

	/** The number of connections in a room, as heard last. @param {string} room @returns {number | undefined} */
	count(room = LOBBY) {
		return this.#counts.get(room);
	}

	/** @returns {Promise<{rooms: Record<string, number>}>} */
	listRooms() {
		return this.#request("listRooms", {});
	}

	/**
	 * Stored messages, beside the events: the newest, or those after or before a number.
	 *
	 * @param {string} [room] @param {HistoryOptions} [options] @returns {Promise<StoredMessages>}
	 */
	history(room = LOBBY, {after, before, epoch, limit = LONGEST_HISTORY} = {}) {
		return this.#request("history", {room, after, before, epoch, limit});
	}

	/** @param {string} room @param {boolean} typing */
	typing(room = LOBBY, typing = true) {
		return this.#request("typingIndicator", {room, typing}, {whenLost: "now"});
	}

	ping() {
		return this.#request("ping", {}, {whenLost: "never"});
	}

	/** Renew the session with another token of the same user. @param {string} token */
	async authenticate(token) {
		await this.#request("authenticate", {token}, {whenLost: "never"});
		this.#token = token;
		// What was refused for the old token is done now.
		if (this.#link) this.#outbox.opened(this.#link);
	}

	/** @returns {Promise<any>} */
	async #request(action, fields, how = {}) {
		if (!this.#started || this.#closed) throw new Closed("the client is not open");
		return this.#outbox.request(action, fields, {seconds: this.#options.answerSeconds, ...how});
	}

	/** Change who or where one is: no two sockets may know it differently. */
	async #move(action, fields) {
		this.#moves += 1;
		this.#moving += 1;
		try {
			return await this.#request(action, fields);
		} finally {
			this.#moving -= 1;
		}
	}

	async #live() {
		let now = Date.now();
		const clock = setInterval(() => {
			if (Date.now() - now > SLEPT_SECONDS * 1000) this.wake();
			now = Date.now();
		}, CLOCK_SECONDS * 1000);
		while (!this.#closed) {
			this.#tell("connecting");
			this.#attempt += 1;
			const link = await this.#dial();
			if (link) await this.#talk(link);
			// No browser says that the handshake was refused for it.
			else if (this.#isOver) this.#goodbye = OVER;
			const goodbye = this.#goodbye;
			this.#goodbye = null;
			if (goodbye && !(await this.#mayComeBack(goodbye))) this.#finish(goodbye.reason);
			// The server says the same to many at once.
			const wait = this.#backoff.next(this.#options.random) + (goodbye?.retryAfter ?? 0);
			if (!this.#closed) await this.#wait(wait, goodbye?.reason);
		}
		clearInterval(clock);
	}

	/** Open a socket; null where that fails. */
	async #dial() {
		let socket;
		try {
			const token = (this.#token = await this.#getToken());
			const url = new URL(this.#url);
			// A token has the name in it.
			if (this.name !== null && !token) url.searchParams.append("name", this.name);
			for (const room of this.rooms) url.searchParams.append("room", room);
			// A plus is a blank in forms alone.
			url.search = url.search.replaceAll("+", "%20");
			socket = new WebSocket(url, ["chat.v1", ...(token ? [`bearer.${token}`] : [])]);
		} catch {
			return null;
		}
		const timer = setTimeout(() => socket.close(), this.#options.answerSeconds * 1000);
		const opened = await new Promise((resolve) => {
			socket.onopen = () => resolve(true);
			socket.onclose = () => resolve(false);
		});
		clearTimeout(timer);
		if (!opened) return null;
		const link = new Link(socket);
		socket.onmessage = ({data}) => this.#read(data, link);
		if (this.#closed) link.drop();
		return link;
	}

	/** Use a link, and its successors, until one is lost. */
	async #talk(link, former = null) {
		this.#link = link;
		this.#attempt = 0;
		this.#asking = new Set();
		this.#outbox.opened(link);
		// Before whoever hears of it asks for more.
		this.#resume();
		this.#tell("open");
		if (former) this.#retire(former, link);
		const pinging = setInterval(() => this.#keepAlive(link), this.#options.pingSeconds * 1000);
		this.#renewLater(link);
		const successor = await this.#successor(link);
		clearInterval(pinging);
		if (successor) return this.#talk(successor, link);
		clearTimeout(this.#renewal);
		this.#link = null;
		this.#outbox.lost(link, this.#isNamed);
		// One that lasted was good: the waits begin anew.
		if (Date.now() - link.openedAt >= LONGEST_WAIT * 1000) this.#backoff = new Backoff();
	}

	/** Open the link that takes over, in time; null where this one was lost before. */
	#successor(link) {
		const {random, rolloverSeconds} = this.#options;
		const backoff = new Backoff();
		const {promise, resolve} = Promise.withResolvers();
		const open = async () => {
			const moves = this.#moves;
			const next = this.#moving ? null : await this.#dial();
			if (next?.open && link.open && moves === this.#moves) return resolve(next);
			next?.drop();
			if (link.open) timer = setTimeout(open, backoff.next(random) * 1000);
		};
		// Not all at once.
		let timer = setTimeout(open, rolloverSeconds * (1 - random() / 10) * 1000);
		link.ended.then(() => {
			clearTimeout(timer);
			resolve(null);
		});
		return promise;
	}

	/** End a link once its successor has all that was said, and it has answered all that it was asked. */
	async #retire(link, successor) {
		const deadline = Date.now() + this.#options.answerSeconds * 1000;
		const behind = () => [...this.#logs.values()].some((log) => log.question() || this.#asking.has(log));
		while (link.open && successor.open && Date.now() < deadline && (behind() || this.#outbox.waitsFor(link))) {
			await pause(0.02);
		}
		link.drop();
		this.#outbox.lost(link, this.#isNamed);
		this.#give([{type: "rollover"}]);
	}

	/** Notice a dead peer, and that the last message of a room was lost, which leaves no gap. */
	async #keepAlive(link) {
		await this.#probe(link, this.#options.answerSeconds);
		if (link === this.#link) this.#resume((this.#logs.size - 1) * LOOK_SECONDS);
	}

	async #probe(link, seconds) {
		try {
			await this.#request("ping", {}, {whenLost: "never", seconds, urgent: true});
		} catch (error) {
			if (error instanceof NoAnswer) link.drop();
		}
	}

	/** Take a frame, unless it is no event. What it says is not logged. */
	#read(data, link) {
		const event = decode(data);
		if (event === null) return console.warn(`a frame of ${data.length ?? data.size} characters is ignored`);
		if (!event.type && event.requestId) {
			console.warn(`API Gateway: ${event.message} (request ${event.requestId})`);
			return this.#outbox.refused(link, this.#isNamed, this.#options.random());
		}
		this.#take(event, link);
	}

	#take(event, link) {
		const {type, code, ref, action} = event;
		if (type === "message" || type === "messages") {
			const log = this.#logs.get(event.room) ?? this.#joining.get(event.room);
			if (!log) return;
			for (const message of event.messages ?? [event]) this.#give(log.live(message));
			this.#catchUp(log);
		} else if (type === "private") {
			// Both sockets of a rollover get it.
			if (this.#privates.has(event.id)) return;
			this.#privates.set(event.id, true);
			this.#give([event]);
		} else if (type === "presence") {
			this.#give(this.#current(event));
		} else if (type === "occupancy" || type === "typing") {
			if (event.count) this.#counts.set(event.room, event.count);
			this.#give([event]);
		} else if (type === "goodbye") {
			if (link === this.#link) {
				this.#goodbye = event;
				this.#give([event]);
			}
			link.drop();
		} else if (type === "left" && ref === null) {
			this.#lose(event.room);
		} else if (code === "rate_limited" && ref) {
			// Not all clients at once.
			this.#outbox.tooFast(event, (event.retryAfter ?? 1) + this.#options.random());
		} else if (code === "token_expired" && action !== "authenticate" && this.#isRenewable) {
			this.#outbox.park(ref);
			this.#renew(link);
		} else if (!this.#outbox.answered(event) && type === "error") {
			this.#give([event]);
		}
	}

	/** Ask each room for what has passed unseen, within so many s. */
	#resume(seconds = 0) {
		for (const log of this.#logs.values()) {
			log.resume();
			this.#catchUp(log, Math.max(seconds, Math.min(this.#spread(log), RESUME_SECONDS)));
		}
		this.#sayWhenReady();
	}

	/** The time in s over which the clients in a room spread the same question. */
	#spread({room}) {
		return (this.#counts.get(room) ?? 0) / QUESTIONS_PER_SECOND;
	}

	/** Have a log's questions asked, the first within so many s. */
	async #catchUp(log, seconds = 0) {
		const asking = this.#asking;
		if (!this.#link || asking.has(log)) return;
		asking.add(log);
		const wait = (most) => pause(this.#options.random() * most);
		try {
			// Whoever waits for a log to begin is not kept waiting.
			if (log.begun && seconds) await wait(seconds);
			while (log.question()) {
				if (log.mayClose) await wait(Math.max(GAP_SECONDS, this.#spread(log)));
				if (!(await this.#inTurn(() => this.#ask(log, asking)))) break;
			}
		} catch (error) {
			if (EXPELLED.has(error.code)) this.#lose(log.room);
			else if (!(error instanceof Closed) && asking === this.#asking) this.#link?.drop();
		} finally {
			asking.delete(log);
		}
	}

	/** Ask a log's question; false where there is none, or another link asks it. */
	async #ask(log, asking) {
		const question = asking === this.#asking && this.#logs.get(log.room) === log && log.question();
		if (!question) return false;
		const {after, epoch, limit} = question;
		const answer = await this.#request("history", {room: log.room, after, epoch, limit}, {whenLost: "never"});
		const before = log.begun;
		this.#give(log.answered(question, answer));
		if (!before) this.#give([{type: "begun", room: log.room}]);
		this.#sayWhenReady();
		return true;
	}

	/** Do some at once, and the rest in turn. */
	async #inTurn(work) {
		if (this.#asked >= QUESTIONS_AT_ONCE) await new Promise((resolve) => this.#queue.push(resolve));
		else this.#asked += 1;
		try {
			return await work();
		} finally {
			if (this.#queue.length) this.#queue.shift()();
			else this.#asked -= 1;
		}
	}

	/** What is not outdated of a presence event, by the server's clock. */
	#current(event) {
		const {room, name, names = [name], at = 0} = event;
		const current = names.filter((each) => !(at < this.#latest.get(`${room} ${each}`)));
		for (const each of current) this.#latest.set(`${room} ${each}`, at);
		return current.length ? [{...event, name: current[0], names: current}] : [];
	}

	#forget(room) {
		this.#counts.delete(room);
		return this.#logs.delete(room);
	}

	/** The server does not let this client be in a room. */
	#lose(room) {
		if (this.#forget(room)) this.#give([{type: "expelled", room}]);
		this.#sayWhenReady();
	}

	#sayWhenReady() {
		if ([...this.#logs.values()].every((log) => log.begun)) this.#ready.resolve(undefined);
	}

	get #isNamed() {
		return this.name !== null || this.#token !== null;
	}

	get #isOver() {
		return Number(claims(this.#token ?? "").exp) < Date.now() / 1000;
	}

	get #isRenewable() {
		return typeof this.#options.token === "function";
	}

	async #getToken() {
		const {token} = this.#options;
		return typeof token === "function" ? token() : token;
	}

	#renewLater(link) {
		clearTimeout(this.#renewal);
		const {exp} = claims(this.#token ?? "");
		if (!this.#isRenewable || typeof exp !== "number" || link !== this.#link) return;
		const left = exp - Date.now() / 1000;
		const early = left - this.#options.renewSeconds;
		// Where there was none in time, more and more often.
		const seconds = early > 0 ? Math.min(early, DAY) : Math.max(left / 4, 1);
		this.#renewal = setTimeout(() => this.#renew(link), seconds * 1000);
	}

	async #renew(link) {
		try {
			const token = await this.#getToken();
			if (token && token !== this.#token && link === this.#link) await this.authenticate(token);
		} catch {
			// Asked again, until the server takes leave.
		}
		this.#renewLater(link);
	}

	async #mayComeBack({code, retryAfter}) {
		if (code !== "token_expired") return retryAfter !== null;
		if (!this.#isRenewable) return false;
		try {
			return (await this.#getToken()) !== this.#token;
		} catch {
			return true;
		}
	}

	async #wait(seconds, why = null) {
		this.#tell("waiting", {retryAt: Date.now() + seconds * 1000, why});
		const {promise, resolve} = Promise.withResolvers();
		const timer = setTimeout(resolve, seconds * 1000);
		this.#endWait = resolve;
		await promise;
		clearTimeout(timer);
	}

	#finish(why) {
		if (this.#closed) return;
		this.#closed = true;
		const closed = new Closed(why ?? "the client is closed");
		this.#link?.drop();
		this.#endWait(null);
		this.#outbox.end(closed);
		this.#ready.reject(closed);
		this.#tell("closed", {why});
	}

	#tell(state, news = {}) {
		this.state = state;
		this.#give([{type: "state", state, retryAt: null, why: null, attempt: this.#attempt, ...news}]);
	}

	#give(events) {
		for (const event of events) this.dispatchEvent(new CustomEvent(event.type, {detail: event}));
	}
}

/** Read a frame; null where it is not an object, or not what its type promises. */
function decode(data) {
	try {
		const event = JSON.parse(data);
		return typeof event === "object" && hasAll(event) ? event : null;
	} catch {
		return null;
	}
}

function hasAll(event) {
	const must = MUST_HAVE[event.type] ?? {};
	const {names, messages = []} = event;
	if (!Object.entries(must).every(([field, type]) => typeof event[field] === type && event[field] !== null)) return false;
	if (names != null && !(Array.isArray(names) && names.every((name) => typeof name === "string"))) return false;
	return Array.isArray(messages) && messages.every((each) => hasAll({...each, type: "message"}));
}

/** Write a request. */
function encode(action, fields, ref) {
	const given = Object.entries(fields).filter(([, value]) => value != null);
	if (given.some(([, value]) => typeof value === "string" && !value.isWellFormed())) {
		throw new Unsendable("the text has one half of a surrogate pair");
	}
	const frame = JSON.stringify({action, ...Object.fromEntries(given), ref});
	const size = new TextEncoder().encode(frame).length;
	if (size > LARGEST_FRAME) throw new Unsendable(`the frame has ${size} bytes, and at most ${LARGEST_FRAME} are sent`);
	return frame;
}

function pause(seconds) {
	return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/** A ref that no other request has. */
export function randomRef() {
	return crypto.getRandomValues(new Uint32Array(3)).join("-");
}
