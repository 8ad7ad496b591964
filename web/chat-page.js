/** One's chat on the page: what comes from the client goes to the conversations, and from there into view. */

import {ChatClient, RequestFailed} from "./chat-client.js";
import {Composer} from "./composer.js";
import {token} from "./config.js";
import {Conversation} from "./conversation.js";
import {byId, element, paint} from "./dom.js";
import {Drawer} from "./drawer.js";
import {JoinDialog} from "./join-dialog.js";
import {recall, remember, tab} from "./memory.js";
import {Operator} from "./operator.js";
import {People} from "./people.js";
import {Settings} from "./settings.js";
import {Sidebar} from "./sidebar.js";
import {Timeline} from "./timeline.js";
import {toast} from "./toasts.js";
import {plural, problem, sentence, typing} from "./words.js";

/**
 * @typedef {import("./chat-client.js").Message} Message
 * @typedef {import("./chat-client.js").Private} Private
 * @typedef {import("./chat-client.js").State} State
 * @typedef {import("./conversation.js").Sending} Sending
 */

const FIRST_PAGE = 50;
const OLDER_PAGE = 100;
// Of what comes at once, no more is read aloud.
const MOST_ALOUD = 3;
const PHONE = "(max-width: 47.99rem)";
const TABLET = "(max-width: 67.99rem)";

export class ChatPage {
  /** @type {Map<string, Conversation>} */
  #conversations = new Map();
  /** @type {Conversation | null} */
  #active = null;
  /** Where one has read to: the number in a room, the time in a private conversation. */
  #read;
  // What is said in one conversation is sent one after another: the server may serve it at once.
  /** @type {Map<Conversation, Promise<void>>} */
  #sendings = new Map();
  /** @type {Set<Conversation>} */
  #fetching = new Set();
  #sidebarFrame = 0;
  /** @type {State | null} */
  #state = null;
  #chat;
  #composer;
  #people;
  #sidebar;
  #timeline;
  #join;
  #drawers;

  /** @param {string} url @param {string} name @param {import("./config.js").Config} config */
  constructor(url, name, config) {
    this.#read = /** @type {Record<string, any>} */ (recall("read", {}));
    const rooms = /** @type {string[]} */ (recall("rooms", config.rooms));
    // Of the others, one may be forbidden by now: they are asked for one by one.
    const safe = rooms.filter((room) => config.rooms.includes(room));
    const start = safe.length ? safe : config.rooms;
    const options = {rooms: start, history: FIRST_PAGE, ...config.seconds};
    this.#chat = new ChatClient(url, {...options, name, token: config.token ? token : null});
    this.#sidebar = new Sidebar((key) => this.#show(key, true));
    this.#people = new People((other) => this.#show(`@${other}`, true));
    this.#composer = new Composer(
      (text) => this.#send(text),
      (typing) => this.#tellTyping(typing),
    );
    this.#timeline = new Timeline({
      older: (conversation) => void this.#fetchOlder(conversation),
      seen: () => this.#markRead(),
      retry: (sending) => this.#retry(sending),
      drop: (sending) => this.#drop(sending),
    });
    this.#join = new JoinDialog(
      (room) => this.#enter(room),
      async () => (await this.#chat.listRooms()).rooms,
    );
    this.#drawers = [
      new Drawer("sidebar", "sidebar-open", PHONE),
      new Drawer("people", "people-open", TABLET),
    ];
    const operator = new Operator(this.#chat);
    const figures = recall("figures", false) === true;
    new Settings({
      name: () => this.#me,
      canRename: !config.token,
      rename: (wanted) => this.#rename(wanted),
      figures,
      showFigures: (shown) => {
        remember("figures", shown || null);
        operator.show(shown);
      },
      signOut: () => this.#signOut(),
    });
    operator.show(figures);
    this.#listen();
    this.#sidebar.showMe(name);
    for (const room of start) this.#conversation(room);
    byId("app").hidden = false;
    const last = recall("active", null, tab);
    this.#show(start.includes(last) ? last : start[0], false);
    this.#composer.focus();
    void this.#chat.connect();
    for (const room of rooms) if (!start.includes(room)) void this.#enterAgain(room, room === last);
  }

  get #me() {
    return this.#chat.name ?? "";
  }

  #listen() {
    const chat = this.#chat;
    chat.on("message", (message) => this.#receive(message.room, message));
    chat.on("private", (message) => {
      const other = message.from === this.#me ? message.to : message.from;
      this.#receive(`@${other ?? ""}`, message);
    });
    chat.on("missed", ({room}) => {
      const conversation = this.#conversation(room);
      if (conversation.said.length) conversation.notice("Some messages are not kept any more.");
      this.#timeline.changed(conversation);
    });
    chat.on("begun", ({room}) => this.#begin(this.#conversation(room)));
    chat.on("expelled", ({room, why}) => {
      this.#close(room);
      toast(`You are not in ${room} any more. ${sentence(why)}`);
    });
    chat.on("presence", ({room, name, event}) => {
      const conversation = this.#conversations.get(room);
      if (!conversation) return;
      if (event === "join") conversation.people.set(name, 1);
      else conversation.people.delete(name);
      if (event === "leave") conversation.typing.delete(name);
      this.#showPeople(conversation);
    });
    chat.on("typing", ({room, from, typing}) => {
      // One's own other tabs type too.
      if (from === null || from === this.#me) return;
      this.#conversations.get(room)?.types(from, typing);
      this.#showTyping();
    });
    chat.on("error", (error) => toast(problem(new RequestFailed("", "", error))));
    chat.on("state", (state) => this.#changed(state));
    for (const type of ["online", "offline", "pageshow"]) addEventListener(type, () => this.#wake());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return;
      this.#wake();
      this.#markRead();
    });
    addEventListener("pagehide", () => this.#rememberRead());
    addEventListener("beforeunload", (event) => {
      if ([...this.#conversations.values()].some(({sending}) => sending.length)) event.preventDefault();
    });
    addEventListener("keydown", (event) => this.#key(event));
    byId("reconnect").addEventListener("click", () => {
      if (this.#chat.state === "closed") location.reload();
      else this.#chat.wake();
    });
    byId("leave").addEventListener("click", () => void this.#leave());
    byId("people-close").addEventListener("click", () => this.#drawers[1].close());
    setInterval(() => {
      this.#showTyping();
      this.#showState();
    }, 1000);
  }

  #wake() {
    this.#chat.wake();
    this.#showState();
  }

  #conversation(/** @type {string} */ key) {
    let conversation = this.#conversations.get(key);
    if (!conversation) {
      conversation = new Conversation(key);
      conversation.begun = conversation.isDirect;
      this.#conversations.set(key, conversation);
      this.#rememberRooms();
      this.#showSidebar();
    }
    return conversation;
  }

  /** Show a conversation. */
  #show(/** @type {string} */ key, /** @type {boolean} */ chosen) {
    const conversation = this.#conversation(key);
    if (this.#active) {
      this.#active.draft = this.#composer.draft;
      if (!this.#active.unread) this.#active.marker = null;
    }
    this.#active = conversation;
    remember("active", conversation.isDirect ? null : key, tab);
    byId("title").textContent = conversation.title;
    byId("leave").hidden = false;
    byId("leave").textContent = conversation.isDirect ? "Close" : "Leave";
    this.#composer.address(conversation.isDirect ? conversation.title : `#${conversation.title}`);
    this.#composer.draft = conversation.draft;
    this.#showEmpty(conversation);
    this.#timeline.show(conversation);
    this.#showPeople(conversation);
    this.#showTyping();
    this.#markRead();
    if (chosen) {
      for (const drawer of this.#drawers) drawer.close();
      // On a phone, the keyboard would cover what one came to read.
      if (matchMedia(PHONE).matches) byId("title").focus();
      else this.#composer.focus();
    }
    if (!conversation.isDirect) void this.#lookAround(conversation);
  }

  #showEmpty(/** @type {Conversation} */ {title, isDirect}) {
    const mark = byId("empty-mark");
    mark.className = isDirect ? "mark avatar" : "mark";
    if (isDirect) paint(mark, title);
    else mark.textContent = "#";
    byId("empty-headline").textContent = isDirect ? `You and ${title}` : `Nobody has said anything in ${title} yet`;
    byId("empty-text").textContent = isDirect
      ? "Only the two of you see what you write here."
      : "Say hello. Whoever comes later can read it.";
  }

  #close(/** @type {string} */ key) {
    const conversation = this.#conversations.get(key);
    if (!conversation) return;
    this.#conversations.delete(key);
    this.#rememberRooms();
    if (conversation === this.#active) {
      this.#active = null;
      const [next] = this.#conversations.keys();
      if (next) this.#show(next, false);
      else this.#showNothing();
    }
    this.#showSidebar();
  }

  #showNothing() {
    byId("title").textContent = "No room";
    byId("subtitle").textContent = "";
    byId("leave").hidden = true;
    const nowhere = new Conversation("");
    nowhere.begun = true;
    byId("empty-mark").textContent = "#";
    byId("empty-headline").textContent = "You are in no room";
    byId("empty-text").textContent = "Join one, or begin one of your own.";
    this.#composer.draft = "";
    this.#timeline.show(nowhere);
    this.#people.show(new Map(), 0, this.#me);
    void this.#join.open();
  }

  #receive(/** @type {string} */ key, /** @type {Message | Private} */ message) {
    const conversation = this.#conversation(key);
    const {id, from, message: text, sentAt} = message;
    const [seq, epoch] = "seq" in message ? [message.seq, message.epoch] : [0, ""];
    const mine = from === this.#me;
    // The first messages of a room have been said before one came; `begin` knows which are new.
    const seen = !conversation.begun || this.#isSeen(conversation);
    if (!conversation.receive({id, seq, epoch, from, text, sentAt, mine}, seen)) return;
    if (conversation.begun) {
      if (!mine && conversation === this.#active) this.#announce(`${from ?? "Somebody"}: ${text}`);
      if (conversation === this.#active) this.#showTyping();
      this.#showSidebar();
    }
    this.#timeline.changed(conversation, mine ? 0 : 1);
  }

  #begin(/** @type {Conversation} */ conversation) {
    conversation.begun = true;
    conversation.hasOlder = (conversation.first?.seq ?? 1) > 1;
    const {seq, epoch} = this.#read[conversation.key] ?? {};
    for (const each of conversation.said) {
      if (!("seq" in each) || each.mine || each.epoch !== epoch || each.seq <= seq) continue;
      conversation.unread += 1;
      conversation.marker ??= each.id;
    }
    if (conversation === this.#active) this.#timeline.show(conversation);
    this.#markRead();
    this.#showSidebar();
  }

  #isSeen(/** @type {Conversation} */ conversation) {
    return conversation === this.#active && !document.hidden && this.#timeline.isAtEnd;
  }

  #markRead() {
    const conversation = this.#active;
    if (!conversation?.begun || !this.#isSeen(conversation)) return;
    const {last, unread, key} = conversation;
    if (last) this.#read[key] = conversation.isDirect ? {sentAt: last.sentAt} : {seq: last.seq, epoch: last.epoch};
    if (!unread) return;
    conversation.read();
    this.#showSidebar();
  }

  #rememberRead() {
    remember("read", this.#read);
  }

  #rememberRooms() {
    remember("rooms", [...this.#conversations.keys()].filter((key) => !key.startsWith("@")));
  }

  #send(/** @type {string} */ text) {
    const conversation = this.#active;
    if (!conversation) return;
    const ref = crypto.getRandomValues(new BigUint64Array(1))[0].toString(36);
    const sending = {ref, id: null, from: this.#me, text, sentAt: Date.now(), failed: null};
    conversation.sending.push(sending);
    conversation.marker = null;
    this.#timeline.unmark();
    this.#timeline.changed(conversation);
    this.#timeline.toEnd();
    this.#deliver(conversation, sending);
  }

  #deliver(/** @type {Conversation} */ conversation, /** @type {Sending} */ sending) {
    const deliver = async () => {
      const {ref, text} = sending;
      try {
        const {id} = conversation.isDirect
          ? await this.#chat.private(conversation.title, text, {ref})
          : await this.#chat.say(text, conversation.key, {ref});
        conversation.acknowledged(ref, id);
      } catch (error) {
        const absent = error instanceof RequestFailed && error.code === "not_found";
        sending.failed = absent ? `${conversation.title} is not here right now.` : problem(error);
        if (conversation !== this.#active) toast(`A message to ${conversation.title} was not sent.`);
        else this.#announce("Your message was not sent.");
      }
      this.#timeline.changed(conversation);
    };
    const before = this.#sendings.get(conversation) ?? Promise.resolve();
    this.#sendings.set(conversation, before.then(deliver));
  }

  #retry(/** @type {Sending} */ sending) {
    if (!this.#active) return;
    sending.failed = null;
    this.#deliver(this.#active, sending);
    this.#timeline.changed(this.#active);
    this.#composer.focus();
  }

  #drop(/** @type {Sending} */ sending) {
    if (!this.#active) return;
    this.#active.drop(sending.ref);
    this.#timeline.changed(this.#active);
    this.#composer.focus();
  }

  #tellTyping(/** @type {boolean} */ typing) {
    const conversation = this.#active;
    if (!conversation || conversation.isDirect || this.#chat.state !== "open") return;
    // Nobody misses it.
    this.#chat.typing(conversation.key, typing).catch(() => {});
  }

  async #fetchOlder(/** @type {Conversation} */ conversation) {
    const {first, key} = conversation;
    if (!first || conversation.isDirect || this.#fetching.has(conversation)) return;
    this.#fetching.add(conversation);
    try {
      const before = {before: first.seq, epoch: first.epoch, limit: OLDER_PAGE};
      const {messages, more} = await this.#chat.history(key, before);
      conversation.hasOlder = more;
      conversation.prepend(
        messages.map(({id, seq, epoch, from, message, sentAt}) => {
          return {id, seq, epoch, from, text: message, sentAt, mine: from === this.#me};
        }),
      );
      this.#timeline.changed(conversation);
    } catch (error) {
      toast(`Older messages could not be loaded. ${problem(error)}`);
    } finally {
      this.#fetching.delete(conversation);
    }
  }

  /** Have what was said to one alone while one was away; it comes live otherwise. */
  async #fetchPrivate() {
    try {
      const {messages} = await this.#chat.history(`@${this.#me}`);
      for (const {id, from, message, sentAt} of messages) {
        if (from === this.#me) continue;
        const conversation = this.#conversation(`@${from ?? ""}`);
        const seen = this.#isSeen(conversation) || sentAt <= (this.#read[conversation.key]?.sentAt ?? 0);
        conversation.receive({id, seq: 0, epoch: "", from, text: message, sentAt, mine: false}, seen);
        this.#timeline.changed(conversation);
      }
      this.#showSidebar();
    } catch (error) {
      toast(`Private messages could not be loaded. ${problem(error)}`);
    }
  }

  async #enter(/** @type {string} */ room) {
    const joined = await this.#chat.join(room);
    this.#conversation(room).people = new Map(Object.entries(joined.members));
    this.#show(room, true);
  }

  /** Join a room of the last visit. */
  async #enterAgain(/** @type {string} */ room, /** @type {boolean} */ shown) {
    try {
      await this.#chat.join(room);
      this.#conversation(room);
      if (shown) this.#show(room, false);
    } catch (error) {
      toast(`You could not get back into ${room}. ${problem(error)}`);
    }
  }

  async #leave() {
    const conversation = this.#active;
    if (!conversation) return;
    const {key, isDirect} = conversation;
    try {
      if (!isDirect) await this.#chat.leave(key);
    } catch (error) {
      toast(problem(error));
      return;
    }
    this.#close(key);
    this.#composer.focus();
    if (!isDirect) {
      const undo = () => void this.#enter(key).catch((error) => toast(problem(error)));
      toast(`You have left ${key}.`, {label: "Undo", run: undo});
    }
  }

  async #rename(/** @type {string} */ wanted) {
    const {name} = await this.#chat.setName(wanted);
    remember("name", name);
    remember("name", name, tab);
    this.#sidebar.showMe(name);
    if (this.#active) void this.#lookAround(this.#active);
  }

  #signOut() {
    remember("name", null, tab);
    this.#rememberRead();
    this.#chat.close();
    location.reload();
  }

  /** See who is in a room. */
  async #lookAround(/** @type {Conversation} */ conversation) {
    if (conversation.isDirect || !this.#chat.rooms.includes(conversation.key)) return;
    try {
      const {members, nameless} = await this.#chat.who(conversation.key);
      conversation.people = new Map(Object.entries(members));
      conversation.nameless = nameless;
      this.#showPeople(conversation);
    } catch {
      // It is asked again with the next connection; what comes meanwhile is shown.
    }
  }

  #showPeople(/** @type {Conversation} */ conversation) {
    if (conversation !== this.#active) return;
    const {isDirect, title, people, nameless} = conversation;
    const both = new Map([this.#me, title].map((name) => [name, 1]));
    this.#people.show(isDirect ? both : people, isDirect ? 0 : nameless, this.#me);
    const here = people.size + nameless;
    byId("subtitle").textContent = isDirect ? "Just the two of you" : here ? `${plural(here, "person", "people")} here` : "";
  }

  #showSidebar() {
    this.#sidebarFrame ||= requestAnimationFrame(() => {
      this.#sidebarFrame = 0;
      this.#sidebar.show(this.#conversations.values(), this.#active);
    });
  }

  #showTyping() {
    const words = typing(this.#active?.whoTypes() ?? []);
    if (byId("typing").textContent !== words) byId("typing").textContent = words;
  }

  #changed(/** @type {State} */ state) {
    this.#state = state;
    if (state.state === "open") {
      void this.#fetchPrivate();
      if (this.#active) void this.#lookAround(this.#active);
    }
    this.#showState();
  }

  #showState() {
    if (!this.#state) return;
    const {state, attempt, retryAt, why} = this.#state;
    const offline = !navigator.onLine;
    const seconds = retryAt === null ? 0 : Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    const short = {connecting: "Connecting…", open: "Connected", waiting: "Not connected", closed: "Signed out"};
    this.#sidebar.showState(short[state], state === "open");
    const banner = byId("banner");
    banner.hidden = state === "open" || (state === "connecting" && attempt === 0);
    if (banner.hidden) return;
    let words = "The connection was lost. Trying again";
    if (state === "closed") words = why ? sentence(why) : "You are not connected any more.";
    else if (offline) words = "You are offline. What you write is sent when you are back";
    else if (attempt > 2) words = "The chat cannot be reached. Trying again";
    else if (why) words = `${sentence(why)} Connecting again`;
    if (byId("banner-text").textContent?.startsWith(words) !== true) byId("banner-text").textContent = words;
    const countdown = element("span", {"aria-hidden": "true"}, seconds > 0 && !offline ? ` in ${seconds} s` : "…");
    byId("banner-text").replaceChildren(words, ...(state === "closed" ? [] : [countdown]));
    byId("reconnect").textContent = state === "closed" ? "Connect again" : "Try now";
  }

  /** Say something to who does not see it. */
  #announce(/** @type {string} */ text) {
    const announcer = byId("announcer");
    const now = performance.now();
    const recent = [...announcer.children].filter((each) => now - Number(each.getAttribute("data-at")) < 1000);
    if (recent.length >= MOST_ALOUD) return;
    announcer.append(element("p", {"data-at": String(now)}, text));
    while (announcer.children.length > 20) announcer.firstElementChild?.remove();
  }

  #key(/** @type {KeyboardEvent} */ event) {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (event.altKey && step) {
      event.preventDefault();
      const keys = [...this.#conversations.keys()];
      const next = keys[(keys.indexOf(this.#active?.key ?? "") + step + keys.length) % keys.length];
      if (next) this.#show(next, true);
    }
  }
}
