/**
 * A client of Chalice Chat that stays connected: it loses no message, gives none twice, and gives those
 * of a room in order. For browsers and whatever else has `WebSocket`, `EventTarget` and `crypto`; there
 * is no DOM in it. docs/web.md has its API, docs/wire.md what goes over the wire.
 *
 * @example
 * const chat = new ChatClient("wss://...", {name: "alice", rooms: ["lobby", "cats"]});
 * chat.on("message", ({room, from, message}) => console.log(room, from, message));
 * await chat.connect();
 * await chat.say("Hello everyone");
 */

/**
 * @typedef {{type: "message", room: string, seq: number, epoch: string, id: string, from: string | null,
 *   message: string, sentAt: number}} Message
 * @typedef {{type: "private", id: string, from: string | null, to: string, message: string,
 *   sentAt: number}} Private
 * @typedef {{type: "presence", room: string, name: string, event: "join" | "leave"}} Presence
 * @typedef {{type: "typing", room: string, from: string | null, typing: boolean}} Typing
 * @typedef {{type: "goodbye", code: string, reason: string, retryAfter: number | null}} Goodbye
 * @typedef {{type: "error", code: string, message: string, action: string | null, ref: string | null,
 *   retryAfter?: number | null}} WireError
 * @typedef {{type: "ack", room: string, seq: number | null, epoch: string | null, id: string | null,
 *   duplicate: boolean, ref: string | null}} Ack
 * @typedef {{type: "joined", room: string, seq: number, epoch: string | null,
 *   members: Record<string, number>, count: number, ref: string | null}} Joined
 * @typedef {{type: "left", room: string, ref: string | null}} Left
 * @typedef {{type: "who", room: string, members: Record<string, number>, nameless: number, count: number,
 *   ref: string | null}} WhoIsThere
 * @typedef {{type: "rooms", rooms: Record<string, number>, ref: string | null}} RoomList
 * @typedef {{type: "history", room: string, seq: number, epoch: string | null, messages: Message[],
 *   more: boolean, complete: boolean, ref: string | null}} StoredMessages
 * @typedef {{type: "named", name: string, ref: string | null}} Named
 * @typedef {{type: "pong", ref: string | null}} Pong
 */

/**
 * Messages of a room after the number `after` may be lost for good: they have expired, or its numbering
 * has begun anew. What is given next comes after them.
 *
 * @typedef {{type: "missed", room: string, after: number}} Missed
 */

/**
 * All that there is to begin with has been given of a room.
 *
 * @typedef {{type: "begun", room: string}} Begun
 */

/**
 * The server does not let this client be in a room any more.
 *
 * @typedef {{type: "expelled", room: string, why: string}} Expelled
 */

/**
 * How the connection is: `connecting`, `open`, `waiting` until `retryAt` (as Date.now()) to connect again,
 * or `closed` for good. `attempt` counts the connections that failed in a row; `why` is for people.
 *
 * @typedef {{type: "state", state: "connecting" | "open" | "waiting" | "closed", retryAt: number | null,
 *   attempt: number, why: string | null}} State
 */

/**
 * A second socket has taken over from the first.
 *
 * @typedef {{type: "rollover"}} Rollover
 */

/**
 * @typedef {{message: Message, missed: Missed, private: Private, presence: Presence, typing: Typing,
 *   goodbye: Goodbye, error: WireError, begun: Begun, expelled: Expelled, state: State,
 *   rollover: Rollover}} Events
 */

/**
 * @typedef {Object} Options
 * @property {string | null} [name] The user; null for a nameless client, or where the token has the name.
 * @property {string[]} [rooms] Rooms to be in from the start.
 * @property {number} [history] How many old messages of each room to begin with, 100 at most.
 * @property {string | null | (() => string | null | Promise<string | null>)} [token] A JWT, or what gets
 *   one. It is called before each connection, and again before the token's `exp`: another one than before
 *   renews the session.
 * @property {number} [pingSeconds] Time between pings; below API Gateway's ten idle minutes.
 * @property {number} [answerSeconds] Time within which a request must be answered. A ping that is not
 *   means that the connection is dead.
 * @property {number} [probeSeconds] The same for the ping of `wake`.
 * @property {number} [rolloverSeconds] Age at which a connection is replaced, at the latest, before API
 *   Gateway ends it after two hours.
 * @property {number} [renewSeconds] Time before a token's `exp` at which it is renewed.
 * @property {() => number} [random] From 0 to 1, for the jitter.
 */

const SUBPROTOCOL = "chat.v1";
const LOBBY = "lobby";
const LONGEST_HISTORY = 100;

const SHORTEST_WAIT = 0.5;
const LONGEST_WAIT = 30;
// A timer that comes so late says that the machine has slept. Hidden pages have theirs once a minute.
const SLEPT_SECONDS = 90;
const CLOCK_SECONDS = 10;
// Private messages have no number; so many are remembered to know a repeat by.
const REMEMBERED = 1000;
// What setTimeout can wait for.
const DAY = 24 * 60 * 60;
const EXPELLED = new Set(["not_in_room", "forbidden"]);

/** Root of every error that the client raises. */
export class ChatError extends Error {
  /** @override */
  get name() {
    return this.constructor.name;
  }
}

/** The server answered a request with an error; `code` is the wire's. */
export class RequestFailed extends ChatError {
  /** @param {string} action @param {string} ref @param {WireError} error */
  constructor(action, ref, error) {
    super(error.message);
    this.code = error.code;
    this.action = action;
    /** To say it again under this one is safe. */
    this.ref = ref;
  }
}

/** The server did not answer a request in time. It may have done it, or may do it yet. */
export class NoAnswer extends ChatError {
  /** @param {string} action @param {string} ref */
  constructor(action, ref) {
    super(`${action}: no answer in time`);
    this.action = action;
    /** To say it again under this one is safe. */
    this.ref = ref;
  }
}

/**
 * The connection was lost before a nameless client's message was acknowledged: it may have been sent, or
 * not. The server knows the refs of a name, so that any other client sends it again.
 */
export class Unconfirmed extends ChatError {}

/** The client is not open, or not any more. */
export class Closed extends ChatError {}

/** The claims of a JWT, unchecked: that is for the server. An empty object for what is none. */
export function claims(/** @type {string} */ token) {
  try {
    const body = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(body), (character) => character.charCodeAt(0));
    return /** @type {Record<string, unknown>} */ (JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return {};
  }
}

/** Waits with full jitter: any time from none to a bound that doubles, so that clients spread out. */
class Backoff {
  #random;
  #bound = SHORTEST_WAIT;

  /** @param {() => number} random */
  constructor(random) {
    this.#random = random;
  }

  /** Draw the next wait, in s. */
  next() {
    const wait = this.#random() * this.#bound;
    this.#bound = Math.min(this.#bound * 2, LONGEST_WAIT);
    return wait;
  }

  /** Begin anew, after what was waited for has come to pass. */
  reset() {
    this.#bound = SHORTEST_WAIT;
  }
}

/**
 * What to ask `history` for: messages after a number of a numbering (null for the newest), how many, and
 * the highest number that has come live already: the answer has all there is up to it.
 *
 * @typedef {{after: number | null, epoch: string | null, limit: number, held: number}} Question
 */

/**
 * The log of one room, over all connections of a client.
 *
 * Messages come live, which may lose, repeat and reorder them, and by `history`, which does not. The log
 * takes both and gives every message once, in order. It rests on three things that the server keeps:
 *
 * - A message is stored before it is sent. So what has come live is in a history that is asked for after.
 * - A number that a complete history leaves out, before the last one in it, will never be used.
 * - A member of the room is sent every message that is stored while it is one. So what is not in a history
 *   that a member has asked for comes live, or shows as a gap before the next one that does.
 *
 * docs/client.md says where a log begins; client/room_log.py is the same in Python.
 */
class RoomLog {
  /** Whether it is known where the log begins. */
  begun = false;
  #history;
  /** @type {string | null} */
  #epoch = null;
  /** @type {Set<string | null>} */
  #former = new Set();
  // Up to here, everything has been given or was not to be.
  #position = 0;
  // The last that was given. Below the position where the log has begun without giving any.
  #given = 0;
  // What has come from beyond the position, or before the beginning.
  /** @type {Map<number, Message>} */
  #held = new Map();
  /** @type {number | null} */
  #joinedAt = null;
  #behind = true;

  /** @param {string} room @param {number} history How many old messages to begin with. */
  constructor(room, history) {
    this.room = room;
    this.#history = history;
  }

  /** Begin at `seq` at the latest: the room was there before anyone saw the client join it. */
  joined(/** @type {number} */ seq) {
    this.#joinedAt = seq;
  }

  /** Ask at the next opportunity: messages may have passed unseen. */
  resume() {
    this.#behind = true;
  }

  /**
   * What has to be asked now, one question at a time; null while nothing is missing.
   *
   * @returns {Question | null}
   */
  question() {
    if (!this.#behind && !this.#held.size) return null;
    if (!this.begun) return {after: null, epoch: null, limit: Math.max(this.#history, 1), held: 0};
    const held = Math.max(0, ...this.#held.keys());
    return {after: this.#position, epoch: this.#epoch, limit: LONGEST_HISTORY, held};
  }

  /** Take a message that has come live; give what is next in order. */
  live(/** @type {Message} */ message) {
    if (this.begun) return [...this.#take(message)];
    this.#held.set(message.seq, message);
    return [];
  }

  /** Take the answer to a question; give what is next in order. */
  answered(/** @type {Question} */ question, /** @type {StoredMessages} */ answer) {
    if (question.after === null) return [...this.#begin(answer)];
    // The log has turned, or begins earlier, since: the next question is another one.
    if (question.epoch !== this.#epoch || question.after > this.#position) return [];
    return [...this.#continue(question.held, question.after, answer)];
  }

  /** @returns {Generator<Message | Missed>} */
  *#begin(/** @type {StoredMessages} */ answer) {
    const wanted = this.#history ? answer.messages : [];
    let position;
    if (wanted.length) position = wanted[0].seq - 1;
    else if (answer.messages.length) position = answer.messages[answer.messages.length - 1].seq;
    // Nothing is stored: nothing has been yet, or it has expired.
    else position = answer.complete ? 0 : answer.seq;
    this.#position = this.#joinedAt === null ? position : Math.min(position, this.#joinedAt);
    this.#behind = this.#position < position;
    this.#epoch = answer.epoch;
    this.begun = true;
    const early = [...this.#held.values()];
    this.#held.clear();
    for (const message of [...wanted, ...early].sort((a, b) => a.seq - b.seq)) yield* this.#take(message);
  }

  /** @returns {Generator<Message | Missed>} */
  *#take(/** @type {Message} */ message) {
    if (this.#former.has(message.epoch)) return;
    if (message.epoch !== this.#epoch) yield* this.#turn(message.epoch);
    if (message.seq <= this.#given) return;
    if (message.seq <= this.#position) {
      // It was on its way when the log began; what came after it was published later still.
      this.#behind ||= message.seq < this.#position;
      this.#position = message.seq - 1;
    }
    this.#held.set(message.seq, message);
    yield* this.#giveNext();
  }

  /** @returns {Generator<Message | Missed>} */
  *#continue(/** @type {number} */ held, /** @type {number} */ after, /** @type {StoredMessages} */ answer) {
    let lossy = !answer.complete;
    if (answer.epoch !== this.#epoch || answer.seq < after) {
      // Another numbering, or this one cut back: the table has been restored from a backup.
      yield* this.#turn(answer.epoch, answer.epoch === this.#epoch ? answer.seq : 0);
      lossy = false;
    }
    for (const message of answer.messages) {
      if (message.seq > this.#position) this.#held.set(message.seq, message);
    }
    const first = answer.messages[0]?.seq ?? 0;
    const last = answer.messages[answer.messages.length - 1]?.seq ?? 0;
    this.#behind = answer.more && last > after;
    // All that there is up to here is at hand; numbers that are missing were never used, or are lost.
    const settled = this.#behind ? last : Math.max(last, held);
    const before = this.#position;
    for (const seq of [...this.#held.keys()].sort((a, b) => a - b)) {
      if (seq > settled) break;
      // Within the answer nothing is lost, whatever is before and after it.
      const within = first < seq && seq <= last;
      if (lossy && seq > this.#position + 1 && !within) yield this.#missed();
      yield this.#give(seq);
    }
    yield* this.#giveNext();
    if (lossy && before === this.#position && before < answer.seq && this.question() === null) {
      yield this.#missed();
      // Said once. What is under way nevertheless is given like at the beginning.
      this.#position = answer.seq;
    }
  }

  /**
   * Go on in another numbering; what is held of this one is all that there will be of it.
   *
   * @returns {Generator<Message | Missed>}
   */
  *#turn(/** @type {string | null} */ epoch, seq = 0) {
    if (this.#epoch !== null) {
      yield this.#missed();
      for (const each of [...this.#held.keys()].sort((a, b) => a - b)) yield this.#give(each);
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

  #give(/** @type {number} */ seq) {
    const message = /** @type {Message} */ (this.#held.get(seq));
    this.#held.delete(seq);
    this.#position = this.#given = seq;
    return message;
  }

  /** @returns {Missed} */
  #missed() {
    return {type: "missed", room: this.room, after: this.#position};
  }
}

/** One socket, and what the server knows of its connection. */
class Link {
  open = true;
  openedAt = Date.now();
  /** @type {() => void} */
  #end = () => {};

  /** @param {WebSocket} socket @param {string[]} rooms @param {string | null} name */
  constructor(socket, rooms, name) {
    this.socket = socket;
    this.rooms = new Set(rooms);
    this.name = name;
    /** @type {Promise<void>} */
    this.ended = new Promise((resolve) => (this.#end = resolve));
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
    this.#end();
  }
}

/**
 * What becomes of a request whose connection is lost: it is sent again by the next; or so if the server knows
 * its ref there, for it must not be done twice; or it is given up.
 *
 * @typedef {"again" | "once" | "never"} WhenLost
 *
 * @typedef {{action: string, ref: string, frame: string, whenLost: WhenLost, link: Link | null,
 *   resolve: (reply: any) => void, reject: (error: Error) => void}} Request
 */

/** Sends requests, again where a connection was lost, and matches the replies by their `ref`. */
class Outbox {
  /** @type {Map<string, Request>} */
  #waiting = new Map();
  /** @type {Link | null} */
  #link = null;

  /**
   * Make a request and wait for its reply.
   *
   * @param {string} action
   * @param {Record<string, unknown>} fields Those that are null are left out.
   * @param {{seconds: number, ref?: string, whenLost?: WhenLost}} how `seconds`: time within which it must be
   *   answered.
   * @returns {Promise<any>}
   */
  async request(action, fields, {seconds, ref = randomRef(), whenLost = "again"}) {
    if (this.#waiting.has(ref)) throw new RangeError(`a request with the ref ${ref} is under way`);
    const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value != null));
    const frame = JSON.stringify({action, ...given, ref});
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    try {
      return await new Promise((resolve, reject) => {
        const request = {action, ref, frame, whenLost, link: null, resolve, reject};
        this.#waiting.set(ref, request);
        timer = setTimeout(() => reject(new NoAnswer(action, ref)), seconds * 1000);
        this.#send(request);
      });
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(ref);
    }
  }

  /** Hand a reply to who waits for it; false where nobody does. */
  answered(/** @type {{type: string, ref?: string | null}} */ reply) {
    const request = this.#waiting.get(reply.ref ?? "");
    if (!request) return false;
    if (reply.type === "error") {
      request.reject(new RequestFailed(request.action, request.ref, /** @type {WireError} */ (reply)));
    } else {
      request.resolve(reply);
    }
    return true;
  }

  /** Send a request once more, after so many s: it has not been done. */
  again(/** @type {string} */ ref, /** @type {number} */ seconds) {
    this.hold(ref);
    setTimeout(() => {
      const request = this.#waiting.get(ref);
      if (request && !request.link) this.#send(request);
    }, seconds * 1000);
  }

  /** Send a request once more when a link is `opened`: it has not been done. */
  hold(/** @type {string} */ ref) {
    const request = this.#waiting.get(ref);
    if (request) request.link = null;
  }

  /** Send by this link from now on, first of all what is with no other. */
  opened(/** @type {Link} */ link) {
    this.#link = link;
    for (const request of this.#waiting.values()) if (!request.link) this.#send(request);
  }

  /**
   * Take back what a link has not answered.
   *
   * @param {Link} link
   * @param {boolean} named Whether the server knows the refs by a name, and does nothing twice.
   */
  lost(link, named) {
    if (this.#link === link) this.#link = null;
    for (const request of this.#waiting.values()) {
      if (request.link !== link) continue;
      request.link = null;
      if (request.whenLost === "never") request.reject(new Closed("the connection was lost"));
      else if (request.whenLost === "once" && !named) request.reject(new Unconfirmed("the connection was lost"));
      else this.#send(request);
    }
  }

  /** Whether a link has requests to answer. */
  waitsFor(/** @type {Link} */ link) {
    return [...this.#waiting.values()].some((request) => request.link === link);
  }

  /** Raise an error to all callers that wait. */
  end(/** @type {Error} */ error) {
    for (const request of this.#waiting.values()) request.reject(error);
  }

  #send(/** @type {Request} */ request) {
    if (!this.#link?.open) return;
    request.link = this.#link;
    this.#link.socket.send(request.frame);
  }
}

/**
 * A connection to the chat that outlives its sockets.
 *
 * It is an EventTarget, and `on` is `addEventListener` for who wants the event alone. The types are `message`,
 * `private`, `presence`, `typing`, `goodbye` and `error` (one that answers no request), as docs/wire.md has
 * them, and `missed`, `begun`, `expelled`, `state` and `rollover`, which are described above. What is
 * published in a room from when `connect` or `join` has resolved is given as `message`: each once, in order.
 *
 * Requests raise `RequestFailed` for the server's `error`, `NoAnswer` when no reply came in time, and `Closed`
 * when the client is not open. One whose connection is lost is made again on the next; so is one that is
 * `rate_limited`, when its time has come.
 */
export class ChatClient extends EventTarget {
  /** The user, as the last `setName` left it. @type {string | null} */
  name;
  /** @type {State["state"]} */
  state = "closed";
  #url;
  /** @type {Required<Options>} */
  #options;
  #backoff;
  #outbox = new Outbox();
  /** @type {Map<string, RoomLog>} */
  #logs;
  // Apart: the server may refuse them, and must not meet them in the URL before it has not.
  /** @type {Map<string, RoomLog>} */
  #joining = new Map();
  /** @type {Set<RoomLog>} */
  #asking = new Set();
  /** @type {Set<string>} */
  #privates = new Set();
  /** @type {string | null} */
  #token = null;
  /** @type {Link | null} */
  #link = null;
  /** @type {Set<WebSocket>} */
  #dialling = new Set();
  /** @type {Goodbye | null} */
  #goodbye = null;
  #attempt = 0;
  #closed = false;
  #started = false;
  /** @type {() => void} */
  #isReady = () => {};
  /** @type {(error: Error) => void} */
  #isNotReady = () => {};
  /** @type {Promise<void>} */
  #ready = new Promise((resolve, reject) => {
    this.#isReady = resolve;
    this.#isNotReady = reject;
  });
  #endWait = () => {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
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
    if (!(history >= 0 && history <= LONGEST_HISTORY)) {
      throw new RangeError(`history must be from 0 to ${LONGEST_HISTORY}, not ${history}`);
    }
    this.name = name;
    this.#backoff = new Backoff(random);
    this.#logs = new Map(rooms.map((room) => [room, new RoomLog(room, history)]));
    // It need not be waited for.
    this.#ready.catch(() => {});
  }

  /**
   * Listen to the events of a type.
   *
   * @template {keyof Events} T
   * @param {T} type
   * @param {(event: Events[T]) => void} listener
   */
  on(type, listener) {
    this.addEventListener(type, (event) => listener(/** @type {CustomEvent} */ (event).detail));
  }

  /** Rooms that this client is in. */
  get rooms() {
    return [...this.#logs.keys()];
  }

  /**
   * Connect, as long as it takes: a browser does not say why a handshake failed, so no failure is final.
   *
   * @returns {Promise<void>} When it is known where each room begins.
   */
  connect() {
    if (!this.#started) {
      this.#started = true;
      void this.#live();
    }
    return this.#ready;
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
    this.#endWait();
    if (this.#link) void this.#probe(this.#link, this.#options.probeSeconds);
  }

  /**
   * Say something in a room, exactly once however often the connection is lost.
   *
   * @param {string} text 1-4,096 characters.
   * @param {string} [room] A room that this client is in.
   * @param {{ref?: string}} [options] `ref`: that of an attempt that failed, to say it again without its
   *   being said twice.
   * @returns {Promise<Ack>}
   * @throws {Unconfirmed} This client is nameless, and the connection was lost before the answer.
   */
  say(text, room = LOBBY, {ref} = {}) {
    return this.#request("onMessage", {room, message: text}, {ref, whenLost: "once"});
  }

  /**
   * Say something to a user who is connected, as `say` does in a room.
   *
   * @param {string} to
   * @param {string} text
   * @param {{ref?: string}} [options]
   * @returns {Promise<Ack>}
   */
  private(to, text, {ref} = {}) {
    return this.#request("privateMessage", {to, message: text}, {ref, whenLost: "once"});
  }

  /**
   * Join a room, over all connections from now on.
   *
   * @param {string} room
   * @returns {Promise<Joined>}
   */
  async join(room) {
    const log = this.#logs.get(room) ?? this.#joining.get(room) ?? new RoomLog(room, this.#options.history);
    this.#joining.set(room, log);
    let joined;
    try {
      joined = await this.#request("joinRoom", {room});
    } finally {
      this.#joining.delete(room);
    }
    if (!log.begun) log.joined(joined.seq);
    this.#logs.set(room, log);
    this.#settle();
    this.#catchUp(log);
    return joined;
  }

  /**
   * Leave a room. Of its messages, only those are given that have come by then.
   *
   * @param {string} room
   * @returns {Promise<Left>}
   */
  async leave(room) {
    const left = await this.#request("leaveRoom", {room});
    this.#logs.delete(room);
    this.#settle();
    return left;
  }

  /**
   * Ask who is in a room.
   *
   * @returns {Promise<WhoIsThere>}
   */
  who(room = LOBBY) {
    return this.#request("who", {room});
  }

  /**
   * Ask which rooms have members.
   *
   * @returns {Promise<RoomList>}
   */
  listRooms() {
    return this.#request("listRooms", {});
  }

  /**
   * Ask for stored messages, the newest or those after or before a number, beside the events.
   *
   * @param {string} [room]
   * @param {{after?: number, before?: number, epoch?: string, limit?: number}} [options]
   * @returns {Promise<StoredMessages>}
   */
  history(room = LOBBY, {after, before, epoch, limit = LONGEST_HISTORY} = {}) {
    return this.#request("history", {room, after, before, epoch, limit});
  }

  /**
   * Show the others in a room that one is about to say something, or not any more.
   *
   * @returns {Promise<Ack>}
   */
  typing(room = LOBBY, typing = true) {
    return this.#request("typingIndicator", {room, typing}, {whenLost: "never"});
  }

  /**
   * Take a name, over all connections from now on.
   *
   * @param {string} name
   * @returns {Promise<Named>}
   */
  async setName(name) {
    const named = await this.#request("setName", {name});
    this.name = named.name;
    this.#settle();
    return named;
  }

  /**
   * Renew the session with another token of the same user.
   *
   * @param {string} token
   */
  async authenticate(token) {
    await this.#request("authenticate", {token}, {whenLost: "never"});
    this.#token = token;
    // What was refused for the old token is done now.
    if (this.#link) this.#outbox.opened(this.#link);
  }

  /**
   * Ask for a pong; it need not be done to stay connected.
   *
   * @returns {Promise<Pong>}
   */
  ping() {
    return this.#request("ping", {}, {whenLost: "never"});
  }

  /**
   * @param {string} action
   * @param {Record<string, unknown>} fields
   * @param {{ref?: string, whenLost?: WhenLost, seconds?: number}} [how]
   * @returns {Promise<any>}
   */
  async #request(action, fields, how) {
    if (!this.#started || this.#closed) throw new Closed("the client is not open");
    return this.#outbox.request(action, fields, {seconds: this.#options.answerSeconds, ...how});
  }

  /** Connect and talk, again and again. */
  async #live() {
    let now = Date.now();
    const clock = setInterval(() => {
      const slept = Date.now() - now > SLEPT_SECONDS * 1000;
      now = Date.now();
      if (slept) this.wake();
    }, CLOCK_SECONDS * 1000);
    while (!this.#closed) {
      this.#tell({state: "connecting"});
      this.#attempt += 1;
      const link = await this.#dial();
      if (link) await this.#talk(link);
      const goodbye = this.#goodbye;
      this.#goodbye = null;
      if (goodbye && !(await this.#mayComeBack(goodbye))) this.#finish(goodbye.reason);
      // On top of what the server asks for: it says the same to many at once.
      const wait = this.#backoff.next() + (goodbye?.retryAfter ?? 0);
      if (!this.#closed) await this.#wait(wait, goodbye?.reason ?? null);
    }
    clearInterval(clock);
  }

  /**
   * Open a socket.
   *
   * @returns {Promise<Link | null>} Null where that fails.
   */
  async #dial() {
    const {name, rooms} = this;
    let socket;
    try {
      const token = (this.#token = await this.#getToken());
      const url = new URL(this.#url);
      // A token has the name in it.
      if (name !== null && !token) url.searchParams.append("name", name);
      for (const room of rooms) url.searchParams.append("room", room);
      // A plus is a blank in forms alone.
      url.search = url.search.replaceAll("+", "%20");
      socket = new WebSocket(url, token ? [SUBPROTOCOL, `bearer.${token}`] : [SUBPROTOCOL]);
    } catch {
      return null;
    }
    this.#dialling.add(socket);
    const timer = setTimeout(() => socket.close(), this.#options.answerSeconds * 1000);
    const opened = await new Promise((resolve) => {
      socket.onopen = () => resolve(true);
      socket.onclose = () => resolve(false);
    });
    clearTimeout(timer);
    this.#dialling.delete(socket);
    if (!opened) return null;
    // Without a room in the URL, the server puts it into this one.
    const link = new Link(socket, rooms.length ? rooms : [LOBBY], name);
    socket.onmessage = ({data}) => this.#take(JSON.parse(data), link);
    if (this.#closed) link.drop();
    return link;
  }

  /** Use a link, and its successors, until one is lost. */
  async #talk(/** @type {Link} */ link, /** @type {Link | null} */ former = null) {
    this.#link = link;
    this.#attempt = 0;
    this.#tell({state: "open"});
    this.#outbox.opened(link);
    this.#settle();
    this.#resume();
    if (former) void this.#retire(former, link);
    const pinging = setInterval(() => void this.#keepAlive(link), this.#options.pingSeconds * 1000);
    this.#renewLater(link);
    const successor = await this.#grownOld(link);
    clearInterval(pinging);
    clearTimeout(this.#renewal);
    if (successor) {
      await this.#talk(successor, link);
      return;
    }
    this.#link = null;
    this.#outbox.lost(link, this.#isNamed);
    // One that lasted was good: the waits begin anew.
    if (Date.now() - link.openedAt >= LONGEST_WAIT * 1000) this.#backoff.reset();
  }

  /**
   * Wait until a link is to be replaced, and open the one that takes over.
   *
   * @returns {Promise<Link | null>} Null where it was lost before.
   */
  #grownOld(/** @type {Link} */ link) {
    const {random, rolloverSeconds} = this.#options;
    return new Promise((resolve) => {
      const open = async () => {
        const next = await this.#dial();
        if (next?.open && link.open) resolve(next);
        else if (link.open) timer = setTimeout(open, backoff.next() * 1000);
        else next?.drop();
      };
      const backoff = new Backoff(random);
      // Not all at once, where many have come at once.
      let timer = setTimeout(open, rolloverSeconds * (1 - random() / 10) * 1000);
      void link.ended.then(() => {
        clearTimeout(timer);
        resolve(null);
      });
    });
  }

  /** End a link once its successor has all that was said, and it has answered all that it was asked. */
  async #retire(/** @type {Link} */ link, /** @type {Link} */ successor) {
    const deadline = Date.now() + this.#options.answerSeconds * 1000;
    const behind = () => [...this.#logs.values()].some((log) => log.question() || this.#asking.has(log));
    while (link.open && successor.open && Date.now() < deadline && (behind() || this.#outbox.waitsFor(link))) {
      await sleep(0.02);
    }
    link.drop();
    this.#outbox.lost(link, this.#isNamed);
    this.#give([{type: "rollover"}]);
  }

  /** Notice a dead peer, and what has got lost without a gap to show it: the last message of a room. */
  async #keepAlive(/** @type {Link} */ link) {
    await this.#probe(link, this.#options.answerSeconds);
    if (link === this.#link) this.#resume();
  }

  async #probe(/** @type {Link} */ link, /** @type {number} */ seconds) {
    try {
      await this.#request("ping", {}, {whenLost: "never", seconds});
    } catch (error) {
      if (error instanceof NoAnswer) link.drop();
    }
  }

  #take(/** @type {any} */ event, /** @type {Link} */ link) {
    switch (event.type) {
      case "message": {
        const log = this.#logs.get(event.room) ?? this.#joining.get(event.room);
        if (!log) return;
        this.#give(log.live(event));
        this.#catchUp(log);
        return;
      }
      case "private":
        if (this.#isNew(event.id)) this.#give([event]);
        return;
      case "presence":
      case "typing":
        this.#give([event]);
        return;
      case "goodbye":
        if (link === this.#link) {
          this.#goodbye = event;
          this.#give([event]);
        }
        link.drop();
        return;
      case "joined":
        link.rooms.add(event.room);
        break;
      case "left":
        link.rooms.delete(event.room);
        break;
      case "named":
        link.name = event.name;
        break;
      case "error":
        if (event.code === "rate_limited" && event.ref) {
          this.#outbox.again(event.ref, event.retryAfter ?? 1);
          return;
        }
        if (event.code === "token_expired" && event.action !== "authenticate" && this.#isRenewable) {
          // By another token, or by the connection that is made with it.
          this.#outbox.hold(event.ref);
          void this.#renew(link);
          return;
        }
    }
    // It names no request, or one that is not waited for any more.
    if (!this.#outbox.answered(event) && event.type === "error") this.#give([event]);
  }

  /** Both sockets of a rollover get a private message. */
  #isNew(/** @type {string} */ id) {
    if (this.#privates.has(id)) return false;
    this.#privates.add(id);
    if (this.#privates.size > REMEMBERED) {
      for (const oldest of this.#privates) {
        this.#privates.delete(oldest);
        break;
      }
    }
    return true;
  }

  /** See to it that the server has this client where it is: another socket may have been told so. */
  #settle() {
    const link = this.#link;
    if (!link) return;
    for (const room of this.rooms) {
      if (link.rooms.has(room)) continue;
      link.rooms.add(room);
      this.#request("joinRoom", {room}, {whenLost: "never"}).catch((error) => this.#lose(room, error));
    }
    for (const room of link.rooms) {
      if (this.#logs.has(room) || this.#joining.has(room)) continue;
      link.rooms.delete(room);
      this.#request("leaveRoom", {room}, {whenLost: "never"}).catch(() => {});
    }
    if (this.name !== null && !this.#token && link.name !== this.name) {
      this.#request("setName", {name: this.name}, {whenLost: "never"}).catch(() => link.drop());
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
  #catchUp(/** @type {RoomLog} */ log) {
    if (!this.#link || this.#asking.has(log) || this.#logs.get(log.room) !== log || !log.question()) return;
    this.#asking.add(log);
    void this.#ask(log, this.#link).finally(() => this.#asking.delete(log));
  }

  async #ask(/** @type {RoomLog} */ log, /** @type {Link} */ link) {
    for (let question = log.question(); question; question = log.question()) {
      const {after, epoch, limit} = question;
      let answer;
      try {
        const fields = {room: log.room, after, epoch, limit};
        answer = await this.#request("history", fields, {whenLost: "never"});
      } catch (error) {
        if (!this.#lose(log.room, error) && !(error instanceof Closed)) link.drop();
        return;
      }
      if (this.#logs.get(log.room) !== log) return;
      const before = log.begun;
      this.#give(log.answered(question, answer));
      if (!before && log.begun) this.#give([{type: "begun", room: log.room}]);
      this.#sayWhenReady();
    }
  }

  /** Be in a room no more, if that is what an error says. */
  #lose(/** @type {string} */ room, /** @type {unknown} */ error) {
    if (!(error instanceof RequestFailed && EXPELLED.has(error.code))) return false;
    if (this.#logs.delete(room)) this.#give([{type: "expelled", room, why: error.message}]);
    this.#sayWhenReady();
    return true;
  }

  get #isNamed() {
    return this.name !== null || this.#token !== null;
  }

  get #isRenewable() {
    return typeof this.#options.token === "function";
  }

  async #getToken() {
    const {token} = this.#options;
    return typeof token === "function" ? token() : token;
  }

  #renewLater(/** @type {Link} */ link) {
    clearTimeout(this.#renewal);
    const {exp} = claims(this.#token ?? "");
    if (!this.#isRenewable || typeof exp !== "number" || link !== this.#link) return;
    const left = exp - Date.now() / 1000;
    const early = left - this.#options.renewSeconds;
    // Where there was none in time, more and more often.
    const seconds = early > 0 ? Math.min(early, DAY) : Math.max(left / 4, 1);
    this.#renewal = setTimeout(() => void this.#renew(link), seconds * 1000);
  }

  async #renew(/** @type {Link} */ link) {
    try {
      const token = await this.#getToken();
      if (token && token !== this.#token && link === this.#link) await this.authenticate(token);
    } catch {
      // Asked again, until the server takes leave.
    }
    this.#renewLater(link);
  }

  async #mayComeBack(/** @type {Goodbye} */ goodbye) {
    if (goodbye.retryAfter !== null) return true;
    if (goodbye.code !== "token_expired" || !this.#isRenewable) return false;
    try {
      return (await this.#getToken()) !== this.#token;
    } catch {
      return true;
    }
  }

  async #wait(/** @type {number} */ seconds, /** @type {string | null} */ why) {
    this.#tell({state: "waiting", retryAt: Date.now() + seconds * 1000, why});
    await new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.#endWait = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#endWait = () => {};
  }

  #sayWhenReady() {
    if ([...this.#logs.values()].every((log) => log.begun)) this.#isReady();
  }

  #finish(/** @type {string | null} */ why) {
    if (this.#closed) return;
    this.#closed = true;
    const closed = new Closed(why ?? "the client is closed");
    for (const socket of this.#dialling) socket.close();
    this.#link?.drop();
    this.#endWait();
    this.#outbox.end(closed);
    this.#isNotReady(closed);
    this.#tell({state: "closed", why});
  }

  #tell(/** @type {Partial<State> & Pick<State, "state">} */ news) {
    this.state = news.state;
    this.#give([{type: "state", retryAt: null, why: null, attempt: this.#attempt, ...news}]);
  }

  #give(/** @type {Events[keyof Events][]} */ events) {
    for (const event of events) this.dispatchEvent(new CustomEvent(event.type, {detail: event}));
  }
}

function sleep(/** @type {number} */ seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

function randomRef() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
