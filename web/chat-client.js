/**
 * A client of Chalice Chat that stays connected: it loses no message, gives none twice, and gives those of a
 * room in order. For browsers, and whatever else has WebSocket, EventTarget and crypto. docs/web.md has more.
 */

/**
 * What docs/wire.md has:
 * @typedef {{room: string, seq: number, epoch: string, id: string, from: string | null, message: string,
 *   sentAt: number}} Message
 * @typedef {{id: string, from: string | null, to: string, message: string, sentAt: number}} Private
 * @typedef {{room: string, name: string, event: "join" | "leave"}} Presence
 * @typedef {{room: string, from: string | null, typing: boolean}} Typing
 * @typedef {{code: string, reason: string, retryAfter: number | null}} Goodbye
 * @typedef {{code: string, message: string, action: string | null, ref: string | null}} WireError
 * @typedef {{seq: number | null, epoch: string | null, id: string | null, duplicate: boolean}} Ack
 * @typedef {{seq: number, members: Record<string, number>, count: number}} Joined
 * @typedef {{members: Record<string, number>, nameless: number, count: number}} WhoIsThere
 * @typedef {{seq: number, epoch: string | null, messages: Message[], more: boolean,
 *   complete: boolean}} StoredMessages
 */

/**
 * `attempt` counts the connections that failed in a row; `retryAt` is as Date.now() has it.
 * @typedef {{state: "connecting" | "open" | "waiting" | "closed", retryAt: number | null, attempt: number,
 *   why: string | null}} State
 *
 * `missed`: messages after a number may be lost for good; what is given next comes after them. `begun`: the old
 * messages of a room have been given. `expelled`: the server does not let this client be in a room.
 * `rollover`: a second socket has taken over from the first. `error`: one that answers no request.
 * @typedef {{message: Message, private: Private, presence: Presence, typing: Typing, goodbye: Goodbye,
 *   error: WireError, missed: {room: string, after: number}, begun: {room: string},
 *   expelled: {room: string}, state: State, rollover: {}}} Events
 */

/**
 * @typedef {Object} Options
 * @property {string | null} [name] The user; null for a nameless client, or where the token has the name.
 * @property {string[]} [rooms] Rooms to be in from the start.
 * @property {number} [history] How many old messages of each room to begin with, 100 at most.
 * @property {string | null | (() => string | null | Promise<string | null>)} [token] A JWT; or what gives the
 *   one of now, before each connection and again before its `exp`.
 * @property {number} [pingSeconds] Between pings: API Gateway ends what idles for ten minutes.
 * @property {number} [answerSeconds] For an answer: a ping without one says that the connection is dead.
 * @property {number} [probeSeconds] The same, for the ping of `wake`.
 * @property {number} [rolloverSeconds] Age at which a socket is replaced: API Gateway ends it after two hours.
 * @property {number} [renewSeconds] Before a token's `exp`, to renew it.
 * @property {() => number} [random] From 0 to 1, for the jitter.
 */

const SUBPROTOCOL = "chat.v1";
const LOBBY = "lobby";
const LONGEST_HISTORY = 100;
const SHORTEST_WAIT = 0.5;
const LONGEST_WAIT = 30;
// What is published at the same time comes in any order, and all in a room see the same gaps.
const GAP_SECONDS = 0.5;
// A timer that comes so late says that the machine has slept; those of a hidden page come once a minute.
const SLEPT_SECONDS = 90;
const CLOCK_SECONDS = 10;
// Private messages have no number: a repeat is known by its id, among so many.
const REMEMBERED = 1000;
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

/** No answer came in time. It may have been done, or be done yet; to say it again under `ref` is safe. */
export class NoAnswer extends ChatError {
	/** @param {string} ref */
	constructor(ref) {
		super("no answer in time");
		this.ref = ref;
	}
}

/** The connection was lost before a nameless client's message was acknowledged: the server forgets its refs. */
export class Unconfirmed extends ChatError {}

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
	#random;
	#bound = SHORTEST_WAIT;

	constructor(random) {
		this.#random = random;
	}

	next() {
		const wait = this.#random() * this.#bound;
		this.#bound = Math.min(this.#bound * 2, LONGEST_WAIT);
		return wait;
	}

	reset() {
		this.#bound = SHORTEST_WAIT;
	}
}

/**
 * The log of one room, over all connections. Messages come live, which may lose, repeat and reorder them, and
 * by `history`, which does not; the log gives each once, in order. client/room_log.py is the same in Python,
 * and says what it rests on; docs/client.md says where a log begins.
 */
export class RoomLog {
	begun = false;
	#history;
	#epoch = null;
	#former = new Set();
	// Up to here, everything has been given or was not to be.
	#position = 0;
	// The last that was given. Below the position where the log has begun without giving any.
	#given = 0;
	// What has come from beyond the position, or before the beginning.
	#held = new Map();
	#joinedAt = Infinity;
	#behind = true;

	constructor(room, history) {
		this.room = room;
		this.#history = history;
	}

	/** Begin at `seq` at the latest: the room was there before anyone saw the client join it. */
	joined(seq) {
		this.#joinedAt = seq;
	}

	/** Messages may have passed unseen. */
	resume() {
		this.#behind = true;
	}

	/** What has to be asked now; null while nothing is missing. All there is up to `held` is stored already. */
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
		// The log has turned, or begins earlier, since: the next question is another one.
		if (question.epoch !== this.#epoch || question.after > this.#position) return [];
		return [...this.#continue(question.held, question.after, answer)];
	}

	*#begin({messages, seq, epoch, complete}) {
		const wanted = this.#history ? messages : [];
		let position;
		if (wanted.length) position = wanted[0].seq - 1;
		// Nothing is stored: nothing has been yet, or it has expired.
		else position = messages.at(-1)?.seq ?? (complete ? 0 : seq);
		this.#position = Math.min(position, this.#joinedAt);
		this.#behind = this.#position < position;
		this.#epoch = epoch;
		this.begun = true;
		const early = [...this.#held.values()];
		this.#held.clear();
		for (const message of [...wanted, ...early].sort((a, b) => a.seq - b.seq)) yield* this.#take(message);
	}

	*#take(message) {
		const {seq, epoch} = message;
		if (this.#former.has(epoch)) return;
		if (epoch !== this.#epoch) yield* this.#turn(epoch);
		if (seq <= this.#given) return;
		if (seq <= this.#position) {
			// It was on its way when the log began; what came after it was published later still.
			this.#behind ||= seq < this.#position;
			this.#position = seq - 1;
		}
		this.#held.set(seq, message);
		yield* this.#giveNext();
	}

	*#continue(held, after, answer) {
		const {messages, seq: newest, epoch, more} = answer;
		let lossy = !answer.complete;
		if (epoch !== this.#epoch || newest < after) {
			// Another numbering, or this one cut back: the table has been restored from a backup.
			yield* this.#turn(epoch, epoch === this.#epoch ? newest : 0);
			lossy = false;
		}
		for (const message of messages) if (message.seq > this.#position) this.#held.set(message.seq, message);
		const first = messages[0]?.seq ?? 0;
		const last = messages.at(-1)?.seq ?? 0;
		this.#behind = more && last > after;
		// All that there is up to here is at hand; numbers that are missing were never used, or are lost.
		const settled = this.#behind ? last : Math.max(last, held);
		const before = this.#position;
		for (const seq of this.#heldInOrder()) {
			if (seq > settled) break;
			// Within the answer nothing is lost, whatever is before and after it.
			if (lossy && seq > this.#position + 1 && !(first < seq && seq <= last)) yield this.#missed();
			yield this.#give(seq);
		}
		yield* this.#giveNext();
		if (lossy && before === this.#position && before < newest && !this.question()) {
			yield this.#missed();
			// Said once. What is under way nevertheless is given like at the beginning.
			this.#position = newest;
		}
	}

	/** Go on in another numbering: this one is over. */
	*#turn(epoch, seq = 0) {
		if (this.#epoch !== null) {
			yield this.#missed();
			for (const each of this.#heldInOrder()) yield this.#give(each);
			this.#former.add(this.#epoch);
		}
		// None but an answer goes back to one: live, it is late.
		this.#former.delete(epoch);
		this.#epoch = epoch;
		this.#position = this.#given = seq;
	}

	*#giveNext() {
		while (this.#held.has(this.#position + 1)) yield this.#give(this.#position + 1);
	}

	#give(seq) {
		const message = this.#held.get(seq);
		this.#held.delete(seq);
		this.#position = this.#given = seq;
		return message;
	}

	#heldInOrder() {
		return [...this.#held.keys()].sort((a, b) => a - b);
	}

	#missed() {
		return {type: "missed", room: this.room, after: this.#position};
	}
}

/** One socket. */
class Link {
	open = true;
	openedAt = Date.now();
	#end = Promise.withResolvers();

	constructor(socket) {
		this.socket = socket;
		this.ended = this.#end.promise;
		socket.onclose = () => this.#ended();
	}

	/** Close it, and wait for no farewell: a dead peer has none, and nothing is expected any more. */
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
 * or, where `whenLost` is "once", only if the server knows its ref there; or, where it is "never", given up.
 */
class Outbox {
	#waiting = new Map();
	#link = null;

	/** Make a request and wait for its reply; fields that are null are left out. */
	async request(action, fields, {seconds, ref = randomRef(), whenLost = "again"}) {
		if (this.#waiting.has(ref)) throw new RangeError(`a request with the ref ${ref} is under way`);
		const given = Object.entries(fields).filter(([, value]) => value != null);
		const frame = JSON.stringify({action, ...Object.fromEntries(given), ref});
		const {promise, resolve, reject} = Promise.withResolvers();
		const timer = setTimeout(() => reject(new NoAnswer(ref)), seconds * 1000);
		const request = {frame, whenLost, link: null, resolve, reject};
		this.#waiting.set(ref, request);
		this.#send(request);
		try {
			return await promise;
		} finally {
			clearTimeout(timer);
			this.#waiting.delete(ref);
		}
	}

	/** Hand a reply to who waits for it; false where nobody does. */
	answered(reply) {
		const request = this.#waiting.get(reply.ref);
		if (reply.type === "error") request?.reject(new RequestFailed(reply));
		else request?.resolve(reply);
		return request !== undefined;
	}

	/** A request has not been done: send it again when a link is `opened`, or after so many s. */
	again(ref, seconds = null) {
		const request = this.#waiting.get(ref);
		if (!request) return;
		request.link = null;
		if (seconds !== null) setTimeout(() => this.#waiting.has(ref) && this.#send(request), seconds * 1000);
	}

	/** Send by this link from now on, first of all what is with no other. */
	opened(link) {
		this.#link = link;
		for (const request of this.#waiting.values()) this.#send(request);
	}

	/** Take back what a link has not answered; `named` says that the server does no ref twice. */
	lost(link, named) {
		if (this.#link === link) this.#link = null;
		for (const request of this.#waiting.values()) {
			if (request.link !== link) continue;
			request.link = null;
			const {whenLost, reject} = request;
			if (whenLost === "never") reject(new Closed("the connection was lost"));
			else if (whenLost === "once" && !named) reject(new Unconfirmed("the connection was lost"));
			else this.#send(request);
		}
	}

	/** Whether a link has requests to answer. */
	waitsFor(link) {
		return [...this.#waiting.values()].some((request) => request.link === link);
	}

	/** Raise an error to all callers that wait. */
	end(error) {
		for (const {reject} of this.#waiting.values()) reject(error);
	}

	#send(request) {
		if (!this.#link?.open || request.link) return;
		request.link = this.#link;
		this.#link.socket.send(request.frame);
	}
}

/**
 * A connection to the chat that outlives its sockets. What is published in a room once `connect` or `join` has
 * resolved is given as `message`, each once and in order. Requests raise RequestFailed, NoAnswer and Closed; one
 * whose connection is lost is made again on the next, and one that is `rate_limited` when its time has come.
 */
export class ChatClient extends EventTarget {
	/** The user, as the last `setName` left it. @type {string | null} */
	name;
	/** @type {State["state"]} */
	state = "closed";
	#url;
	#options;
	#backoff;
	#outbox = new Outbox();
	#logs;
	// Apart: the server may refuse them, and must not meet them in the URL before it has not.
	#joining = new Map();
	// Joins, leaves and renamings: how many there were, and how many are under way.
	#moves = 0;
	#moving = 0;
	#asking = new Set();
	#privates = new Set();
	#token = null;
	#link = null;
	#goodbye = null;
	#attempt = 0;
	#closed = false;
	#started = false;
	#ready = Promise.withResolvers();
	#endWait = (_) => {};
	#renewal;

	/**
	 * @param {string} url The chat's `wss://` or `ws://` URL.
	 * @param {Options} [options]
	 */
	constructor(url, options = {}) {
		super();
		this.#url = new URL(url);
		if (!["ws:", "wss:"].includes(this.#url.protocol)) throw new RangeError(`no ws or wss URL: ${url}`);
		this.#options = {
			name: null,
			rooms: [LOBBY],
			history: 0,
			token: null,
			pingSeconds: 300,
			answerSeconds: 30,
			probeSeconds: 5,
			rolloverSeconds: 110 * 60,
			renewSeconds: 60,
			random: Math.random,
			...options,
		};
		const {name, rooms, history, random} = this.#options;
		if (!(history >= 0 && history <= LONGEST_HISTORY)) throw new RangeError("history must be from 0 to 100");
		this.name = name;
		this.#backoff = new Backoff(random);
		this.#logs = new Map(rooms.map((room) => [room, new RoomLog(room, history)]));
		// It need not be waited for.
		this.#ready.promise.catch(() => {});
	}

	/**
	 * @template {keyof Events} T
	 * @param {T} type
	 * @param {(event: Events[T]) => void} listener
	 */
	on(type, listener) {
		this.addEventListener(type, (event) => listener(/** @type {CustomEvent} */ (event).detail));
	}

	/** @returns {string[]} */
	get rooms() {
		return [...this.#logs.keys()];
	}

	/**
	 * Connect, as long as it takes: a browser does not say why a handshake failed. Resolves when it is known where
	 * each room begins.
	 *
	 * @returns {Promise<void>}
	 */
	connect() {
		if (!this.#started) this.#live();
		this.#started = true;
		return this.#ready.promise;
	}

	/** Close for good. May be called again. */
	close() {
		this.#finish(null);
	}

	/**
	 * Something may have changed: the network is back, the page is seen again, the machine was asleep. Connect
	 * now instead of later, and make sure that a connection that seems open is.
	 */
	wake() {
		this.#endWait(null);
		if (this.#link) this.#probe(this.#link, this.#options.probeSeconds);
	}

	/**
	 * Say something, once however often the connection is lost. May throw Unconfirmed where one is nameless.
	 *
	 * @param {string} text
	 * @param {string} [room]
	 * @param {{ref?: string}} [options] `ref`: that of an attempt that failed.
	 * @returns {Promise<Ack>}
	 */
	say(text, room = LOBBY, {ref} = {}) {
		return this.#request("onMessage", {room, message: text}, {ref, whenLost: "once"});
	}

	/** As `say`, to one user. @param {{ref?: string}} [options] @returns {Promise<Ack>} */
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
			this.#logs.set(room, log);
			this.#catchUp(log);
			return joined;
		} finally {
			this.#joining.delete(room);
		}
	}

	/** Leave a room. Of its messages, only those are given that have come by then. @param {string} room */
	async leave(room) {
		await this.#move("leaveRoom", {room});
		this.#logs.delete(room);
	}

	/** Take a name, over all connections from now on: `name` has its normal form then. @param {string} name */
	async setName(name) {
		this.name = (await this.#move("setName", {name})).name;
	}

	/** @param {string} room @returns {Promise<WhoIsThere>} */
	who(room = LOBBY) {
		return this.#request("who", {room});
	}

	/** @returns {Promise<{rooms: Record<string, number>}>} */
	listRooms() {
		return this.#request("listRooms", {});
	}

	/**
	 * Stored messages, beside the events: the newest, or those after or before a number.
	 *
	 * @param {string} [room]
	 * @param {{after?: number, before?: number, epoch?: string, limit?: number}} [options]
	 * @returns {Promise<StoredMessages>}
	 */
	history(room = LOBBY, {after, before, epoch, limit = LONGEST_HISTORY} = {}) {
		return this.#request("history", {room, after, before, epoch, limit});
	}

	/** @param {string} room @param {boolean} typing */
	typing(room = LOBBY, typing = true) {
		return this.#request("typingIndicator", {room, typing}, {whenLost: "never"});
	}

	/** Ask for a pong; it need not be done to stay connected. */
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

	/** Change who or where this client is: no two sockets may know it differently. */
	async #move(action, fields) {
		this.#moves += 1;
		this.#moving += 1;
		try {
			return await this.#request(action, fields);
		} finally {
			this.#moving -= 1;
		}
	}

	/** Connect and talk, again and again. */
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
			// A browser does not say that the handshake was refused for it.
			else if (this.#isOver) this.#goodbye = OVER;
			const goodbye = this.#goodbye;
			this.#goodbye = null;
			if (goodbye && !(await this.#mayComeBack(goodbye))) this.#finish(goodbye.reason);
			// On top of what the server asks for: it says the same to many at once.
			const wait = this.#backoff.next() + (goodbye?.retryAfter ?? 0);
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
			socket = new WebSocket(url, token ? [SUBPROTOCOL, `bearer.${token}`] : [SUBPROTOCOL]);
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
		socket.onmessage = ({data}) => this.#take(JSON.parse(data), link);
		if (this.#closed) link.drop();
		return link;
	}

	/** Use a link, and its successors, until one is lost. */
	async #talk(link, former = null) {
		this.#link = link;
		this.#attempt = 0;
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
		if (Date.now() - link.openedAt >= LONGEST_WAIT * 1000) this.#backoff.reset();
	}

	/** Open the link that takes over, in time; null where this one was lost before. */
	#successor(link) {
		const {random, rolloverSeconds} = this.#options;
		const backoff = new Backoff(random);
		const {promise, resolve} = Promise.withResolvers();
		const open = async () => {
			const moves = this.#moves;
			const next = this.#moving ? null : await this.#dial();
			if (next?.open && link.open && moves === this.#moves) return resolve(next);
			next?.drop();
			if (link.open) timer = setTimeout(open, backoff.next() * 1000);
		};
		// Not all at once, where many have come at once.
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

	/** Notice a dead peer, and what has got lost without a gap to show it: the last message of a room. */
	async #keepAlive(link) {
		await this.#probe(link, this.#options.answerSeconds);
		if (link === this.#link) this.#resume();
	}

	async #probe(link, seconds) {
		try {
			await this.#request("ping", {}, {whenLost: "never", seconds});
		} catch (error) {
			if (error instanceof NoAnswer) link.drop();
		}
	}

	#take(event, link) {
		const {type, code, ref, action} = event;
		if (type === "message") {
			const log = this.#logs.get(event.room) ?? this.#joining.get(event.room);
			if (!log) return;
			this.#give(log.live(event));
			this.#catchUp(log);
		} else if (type === "private") {
			// Both sockets of a rollover get it.
			if (this.#privates.has(event.id)) return;
			this.#privates.add(event.id);
			if (this.#privates.size > REMEMBERED) this.#privates.delete(this.#privates.values().next().value);
			this.#give([event]);
		} else if (type === "presence" || type === "typing") {
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
			this.#outbox.again(ref, event.retryAfter ?? 1);
		} else if (code === "token_expired" && action !== "authenticate" && this.#isRenewable) {
			// By another token, or by the connection that is made with it.
			this.#outbox.again(ref);
			this.#renew(link);
		} else if (!this.#outbox.answered(event) && type === "error") {
			// It names no request, or one that is not waited for any more.
			this.#give([event]);
		}
	}

	#resume() {
		for (const log of this.#logs.values()) {
			log.resume();
			this.#catchUp(log);
		}
		this.#sayWhenReady();
	}

	/** See to it that a log's questions are asked, one at a time. */
	async #catchUp(log) {
		let link = this.#link;
		if (!link || this.#asking.has(log)) return;
		this.#asking.add(log);
		try {
			while (log.question()) {
				if (log.mayClose) await pause(this.#options.random() * GAP_SECONDS);
				link = this.#link;
				const question = this.#logs.get(log.room) === log && log.question();
				if (!link || !question) break;
				const {after, epoch, limit} = question;
				const fields = {room: log.room, after, epoch, limit};
				const answer = await this.#request("history", fields, {whenLost: "never"});
				const before = log.begun;
				this.#give(log.answered(question, answer));
				if (!before) this.#give([{type: "begun", room: log.room}]);
				this.#sayWhenReady();
			}
		} catch (error) {
			if (EXPELLED.has(error.code)) this.#lose(log.room);
			else if (!(error instanceof Closed)) link?.drop();
		} finally {
			this.#asking.delete(log);
		}
	}

	/** The server does not let this client be in a room. */
	#lose(room) {
		if (this.#logs.delete(room)) this.#give([{type: "expelled", room}]);
		this.#sayWhenReady();
	}

	#sayWhenReady() {
		if ([...this.#logs.values()].every((log) => log.begun)) this.#ready.resolve(undefined);
	}

	get #isNamed() {
		return this.name !== null || this.#token !== null;
	}

	/** Whether the token has expired, by this clock. */
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

function pause(seconds) {
	return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

function randomRef() {
	return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16)).join("");
}
