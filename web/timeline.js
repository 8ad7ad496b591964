/** The messages of one conversation, in the order of the scroll. */

import {avatar, byId, element, icon} from "./dom.js";
import {isEmoji, nodes} from "./message-text.js";
import {day, plural, sameDay, time, when} from "./words.js";

/**
 * @typedef {import("./conversation.js").Conversation} Conversation
 * @typedef {import("./conversation.js").Said} Said
 * @typedef {import("./conversation.js").Sending} Sending
 * @typedef {import("./conversation.js").Notice} Notice
 */

const TICK = "M4.500 10.500l3.500 3.500 7.500-8";
const CLOCK = "M10 3.500a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM10 6.500V10l2.500 1.500";
const WARNING = "M10 3.500a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM10 6.500v4.500M10 13.300v.200";

// Within this time, one who goes on speaking is not named again.
const BREATH_MS = 5 * 60 * 1000;
// From the top, where older messages are fetched, and from the bottom, where one counts as reading.
const NEAR_TOP = 600;
const NEAR_BOTTOM = 48;
const LONG_TEXT = 1600;
const MANY_LINES = 24;

export class Timeline {
  #asks;
  #scroller = byId("scroller");
  #list = byId("messages");
  #older = byId("older");
  #jump = byId("jump");
  /** @type {Conversation | null} */
  #shown = null;
  // The rows of what has been said, in order, by the message.
  /** @type {Map<Said | Notice, HTMLElement>} */
  #rows = new Map();
  #pinned = true;
  #frame = 0;
  #below = 0;

  /**
   * @param {{older: (conversation: Conversation) => void, seen: () => void,
   *   retry: (sending: Sending) => void, drop: (sending: Sending) => void}} asks What the reader asks for.
   */
  constructor(asks) {
    this.#asks = asks;
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), {passive: true});
    this.#jump.addEventListener("click", () => {
      this.toEnd();
      this.#scroller.focus({preventScroll: true});
    });
    // Whatever makes it higher or lower, who reads the end reads on at the end.
    const keep = new ResizeObserver(() => this.#pinned && this.#goToEnd());
    keep.observe(this.#list);
    keep.observe(this.#scroller);
  }

  /** Whether the newest message is in sight. */
  get isAtEnd() {
    return this.#pinned;
  }

  /** Show a conversation from its end, or from where it was left off. */
  show(/** @type {Conversation} */ conversation) {
    this.#shown = conversation;
    this.#clear();
    this.#pinned = true;
    this.#below = 0;
    this.#render();
    const marker = this.#list.querySelector(".marker");
    if (marker && conversation.marker) {
      this.#goToEnd();
      const {top} = marker.getBoundingClientRect();
      const view = this.#scroller.getBoundingClientRect().top;
      // The first new message is more than a screen away: begin there.
      if (top < view) {
        this.#pinned = false;
        this.#scroller.scrollTop += top - view - 80;
        this.#below = conversation.unread;
      }
    }
    this.#scrolled();
  }

  /** A conversation has changed; if it is the one that is shown, show it so, once a frame. */
  changed(/** @type {Conversation} */ conversation, news = 0) {
    if (conversation !== this.#shown) return;
    if (!this.#pinned) this.#below += news;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#render();
    });
  }

  /** Take the marker of new messages away: they have been answered. */
  unmark() {
    this.#list.querySelector(".marker")?.remove();
  }

  /** Go to the newest message. */
  toEnd() {
    this.#pinned = true;
    this.#goToEnd();
    this.#scrolled();
  }

  #goToEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  #clear() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#rows.clear();
    this.#list.replaceChildren();
  }

  #scrolled() {
    const {scrollTop, scrollHeight, clientHeight} = this.#scroller;
    this.#pinned = scrollHeight - clientHeight - scrollTop <= NEAR_BOTTOM;
    if (this.#pinned) {
      this.#below = 0;
      this.#asks.seen();
    }
    this.#showJump();
    if (this.#shown?.hasOlder && scrollTop < NEAR_TOP) this.#asks.older(this.#shown);
  }

  #showJump() {
    this.#jump.hidden = this.#pinned;
    if (this.#pinned) return;
    const text = this.#below ? plural(this.#below, "new message") : "To the newest";
    if (this.#jump.textContent !== text) this.#jump.replaceChildren(text, icon("M10 4v12M5 11l5 5 5-5"));
    this.#jump.classList.toggle("news", this.#below > 0);
  }

  #render() {
    const conversation = this.#shown;
    if (!conversation) return;
    if (this.#pinned && conversation.trim()) this.#forget(conversation);
    const first = this.#rows.keys().next().value;
    const start = first ? conversation.said.indexOf(first) : -1;
    if (first && start > 0) this.#prepend(conversation, first, start);
    if (first && start < 0) this.#clear();
    this.#append(conversation);
    this.#renderSending(conversation);
    this.#older.textContent = olderText(conversation);
    const empty = conversation.begun && !conversation.said.length && !conversation.sending.length;
    byId("empty").hidden = !empty;
    if (this.#pinned) {
      this.#goToEnd();
      this.#asks.seen();
    }
    this.#showJump();
  }

  #append(/** @type {Conversation} */ conversation) {
    const {said} = conversation;
    let from = said.length;
    while (from > 0 && !this.#rows.has(said[from - 1])) from -= 1;
    if (from === said.length) return;
    const rows = this.#rowsOf(conversation, said, from, said.length);
    const sending = this.#list.querySelector(":scope > .sending");
    if (sending) sending.before(...rows);
    else this.#list.append(...rows);
  }

  /** Put older messages above, and leave in sight what is in sight. */
  #prepend(
    /** @type {Conversation} */ conversation,
    /** @type {Said | Notice} */ first,
    /** @type {number} */ start,
  ) {
    const inSight = /** @type {HTMLElement} */ (this.#rows.get(first));
    const before = inSight.getBoundingClientRect().top;
    const known = this.#rows;
    known.delete(first);
    // Its day and its name may be said above it now.
    while (inSight.previousElementSibling) inSight.previousElementSibling.remove();
    this.#rows = new Map();
    const rows = this.#rowsOf(conversation, conversation.said, 0, start + 1);
    for (const [message, row] of known) this.#rows.set(message, row);
    const again = /** @type {HTMLElement} */ (this.#rows.get(first));
    inSight.replaceWith(...rows);
    this.#scroller.scrollTop += again.getBoundingClientRect().top - before;
  }

  #forget(/** @type {Conversation} */ conversation) {
    const kept = new Set(conversation.said);
    for (const [message, row] of this.#rows) {
      if (kept.has(message)) break;
      while (row.previousElementSibling) row.previousElementSibling.remove();
      row.remove();
      this.#rows.delete(message);
    }
  }

  #rowsOf(
    /** @type {Conversation} */ conversation,
    /** @type {(Said | Notice)[]} */ said,
    /** @type {number} */ from,
    /** @type {number} */ to,
  ) {
    const rows = [];
    for (let index = from; index < to; index += 1) {
      const item = said[index];
      const before = said[index - 1];
      if (!before || !sameDay(before.sentAt, item.sentAt)) {
        rows.push(element("li", {class: "day"}, element("span", {}, day(item.sentAt))));
      }
      const isNew = item.id === conversation.marker;
      if (isNew) rows.push(element("li", {class: "marker"}, element("span", {}, "New messages")));
      const row = "notice" in item ? noticeRow(item) : saidRow(item, isNew || !goesOn(before, item));
      this.#rows.set(item, row);
      rows.push(row);
    }
    return rows;
  }

  #renderSending(/** @type {Conversation} */ conversation) {
    const rows = [...this.#list.querySelectorAll(":scope > .sending")];
    const states = conversation.sending.map(({ref, id, failed}) => `${ref} ${id} ${failed}`);
    if (rows.map((row) => row.getAttribute("data-state")).join("\n") === states.join("\n")) return;
    // A button that has the focus must not vanish under it.
    const focused = document.activeElement?.closest(".sending")?.getAttribute("data-ref");
    for (const row of rows) row.remove();
    conversation.sending.forEach((sending, index) => {
      const row = this.#sendingRow(sending, conversation, index);
      row.setAttribute("data-state", states[index]);
      row.setAttribute("data-ref", sending.ref);
      this.#list.append(row);
      if (sending.ref === focused) row.querySelector("button")?.focus();
    });
  }

  #sendingRow(
    /** @type {Sending} */ sending,
    /** @type {Conversation} */ conversation,
    /** @type {number} */ index,
  ) {
    const {failed, id, from, text, sentAt} = sending;
    const message = {id: "", seq: 0, epoch: "", from, text, sentAt, mine: true};
    const row = saidRow(message, index === 0 && !goesOn(conversation.said.at(-1), message), false);
    row.classList.add("sending");
    const state = failed === null && id === null ? "sending" : failed === null ? "sent" : "failed";
    row.classList.toggle("failed", state === "failed");
    row.append(stateMark(state));
    if (failed !== null) {
      const retry = element("button", {class: "quiet", type: "button"}, "Try again");
      retry.addEventListener("click", () => this.#asks.retry(sending));
      const drop = element("button", {class: "quiet", type: "button"}, "Delete");
      drop.addEventListener("click", () => this.#asks.drop(sending));
      row.lastElementChild?.before(element("p", {class: "failure"}, `Not sent. ${failed} `, retry, drop));
    }
    return row;
  }
}

/** Whether somebody speaks on, so that one need not be told again who. */
function goesOn(/** @type {Said | Notice | undefined} */ before, /** @type {Said | Notice} */ item) {
  if (!before || "notice" in before || "notice" in item) return false;
  const soon = item.sentAt - before.sentAt < BREATH_MS;
  return before.from === item.from && soon && sameDay(before.sentAt, item.sentAt);
}

function noticeRow(/** @type {Notice} */ item) {
  return element("li", {class: "notice"}, item.notice);
}

function saidRow(/** @type {Said} */ message, /** @type {boolean} */ named, sent = message.mine) {
  const {from, text, sentAt, mine} = message;
  const row = element("li", {class: `message${named ? " named" : ""}${mine ? " mine" : ""}`});
  const at = element("time", {datetime: new Date(sentAt).toISOString(), title: when(sentAt)}, time(sentAt));
  if (named) {
    row.append(avatar(from));
    const name = element("bdi", {class: from === null ? "author nameless" : "author"}, from ?? "Somebody");
    row.append(element("p", {class: "meta"}, name, at));
  } else {
    // For the ear: who, for each of them.
    row.append(element("span", {class: "visually-hidden"}, from ?? "Somebody"), at);
  }
  row.append(textOf(text));
  if (sent) row.append(stateMark("sent"));
  return row;
}

function textOf(/** @type {string} */ text) {
  const shown = element("div", {class: isEmoji(text) ? "text emoji" : "text", dir: "auto"}, ...nodes(text));
  if (text.length <= LONG_TEXT && text.split("\n").length <= MANY_LINES) return shown;
  shown.classList.add("long");
  const all = element("button", {class: "quiet", type: "button"}, "Show all");
  all.addEventListener("click", () => {
    shown.classList.remove("long");
    all.remove();
  });
  return element("div", {class: "folded"}, shown, all);
}

function stateMark(/** @type {"sending" | "sent" | "failed"} */ state) {
  const [path, words] = {
    sending: [CLOCK, "Sending"],
    sent: [TICK, "Sent"],
    failed: [WARNING, "Not sent"],
  }[state];
  const mark = element("span", {class: `state ${state}`, title: words}, icon(path));
  mark.append(element("span", {class: "visually-hidden"}, words));
  return mark;
}

function olderText(/** @type {Conversation} */ conversation) {
  if (!conversation.begun) return "Loading messages…";
  if (!conversation.said.length) return "";
  if (conversation.hasOlder) return "Loading older messages…";
  // The chat keeps a private message for who gets it alone.
  return conversation.isDirect ? "What you write here yourself is shown for this visit." : "This is the beginning.";
}
