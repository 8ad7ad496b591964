/** A room, or what one and another person say to each other: what there is to show of it. No DOM. */

/**
 * @typedef {{id: string, seq: number, epoch: string, from: string | null, text: string, sentAt: number,
 *   mine: boolean}} Said
 * @typedef {{ref: string, id: string | null, from: string | null, text: string, sentAt: number,
 *   failed: string | null}} Sending
 * @typedef {{notice: string, id: string, sentAt: number}} Notice
 */

// What is kept of a conversation that nobody scrolls in; older messages are in the history.
const KEPT = 1000;
const SLACK = 200;
// A client that types says so every few seconds.
const TYPING_MS = 6000;

export class Conversation {
  /** In order. @type {(Said | Notice)[]} */
  said = [];
  /** What is not said yet, oldest first. @type {Sending[]} */
  sending = [];
  /** Messages that nobody has looked at. */
  unread = 0;
  /** The id of the first message that was new when somebody looked. @type {string | null} */
  marker = null;
  /** Whether there may be older messages in the history. */
  hasOlder = false;
  /** Whether the first messages are here, if there are any. */
  begun = false;
  /** Names here, with their numbers of connections. @type {Map<string, number>} */
  people = new Map();
  nameless = 0;
  /** Until when somebody types, as Date.now(). @type {Map<string, number>} */
  typing = new Map();
  /** What was being written when the conversation was left. */
  draft = "";
  /** @type {Set<string>} */
  #ids = new Set();

  /** @param {string} key A room, or `@` and a name. */
  constructor(key) {
    this.key = key;
    this.isDirect = key.startsWith("@");
    this.title = this.isDirect ? key.slice(1) : key;
  }

  /**
   * Take a message that comes next in order.
   *
   * @param {Said} message
   * @param {boolean} seen Whether somebody looks.
   * @returns {boolean} Whether it is new here.
   */
  receive(message, seen) {
    if (this.#ids.has(message.id)) return false;
    this.#ids.add(message.id);
    if (message.mine) this.#arrived(message);
    if (message.from !== null) this.typing.delete(message.from);
    this.said.push(message);
    if (!message.mine && !seen) {
      this.unread += 1;
      this.marker ??= message.id;
    }
    return true;
  }

  /** Take older messages, in order. */
  prepend(/** @type {Said[]} */ messages) {
    const older = messages.filter((message) => !this.#ids.has(message.id));
    for (const {id} of older) this.#ids.add(id);
    this.said.unshift(...older);
  }

  /** Note something that nobody has said. */
  notice(/** @type {string} */ text) {
    const last = this.said.at(-1);
    if (last && "notice" in last && last.notice === text) return;
    const now = Date.now();
    this.said.push({notice: text, id: `notice-${now}-${this.said.length}`, sentAt: last?.sentAt ?? now});
  }

  /** Forget the oldest of many, and say whether there were so many. They are in the history. */
  trim() {
    if (this.isDirect || this.said.length <= KEPT + SLACK) return false;
    for (const {id} of this.said.splice(0, this.said.length - KEPT)) this.#ids.delete(id);
    this.hasOlder = true;
    return true;
  }

  /** The server has stored what was sent; it may have come already. */
  acknowledged(/** @type {string} */ ref, /** @type {string | null} */ id) {
    const sending = this.sending.find((each) => each.ref === ref);
    if (!sending) return;
    sending.id = id;
    if (id !== null && this.#ids.has(id)) this.drop(ref);
  }

  /** Give up what was to be sent. */
  drop(/** @type {string} */ ref) {
    this.sending = this.sending.filter((each) => each.ref !== ref);
  }

  /** The oldest message that has a number. */
  get first() {
    return /** @type {Said | undefined} */ (this.said.find((each) => "seq" in each));
  }

  /** The newest message that has a number. */
  get last() {
    return /** @type {Said | undefined} */ (this.said.findLast((each) => "seq" in each));
  }

  /** Everything here has been seen. */
  read() {
    this.unread = 0;
  }

  types(/** @type {string} */ name, /** @type {boolean} */ typing, now = Date.now()) {
    if (typing) this.typing.set(name, now + TYPING_MS);
    else this.typing.delete(name);
  }

  /** Who types now. */
  whoTypes(now = Date.now()) {
    for (const [name, until] of this.typing) if (until <= now) this.typing.delete(name);
    return [...this.typing.keys()];
  }

  /** What was being sent is here. A message has no ref: the ack may tell its id, and may not have come yet. */
  #arrived(/** @type {Said} */ message) {
    const known = this.sending.find(({id}) => id === message.id);
    const sending = known ?? this.sending.find(({id, text}) => id === null && text === message.text);
    if (sending) this.drop(sending.ref);
  }
}
