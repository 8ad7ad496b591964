/** One's chat on the page: what comes from the client goes to the conversations, and from there into view. */

import {ChatClient, randomRef} from "./chat-client.js";
import {Composer} from "./composer.js";
import {token} from "./config.js";
import {Conversation} from "./conversation.js";
import {avatar, byId, element, onClick, write} from "./dom.js";
import {Drawer} from "./drawer.js";
import {JoinDialog} from "./join-dialog.js";
import {moveTo, recall, remember, rememberName, tab} from "./memory.js";
import {Operator} from "./operator.js";
import {People} from "./people.js";
import {Settings} from "./settings.js";
import {Sidebar} from "./sidebar.js";
import {Timeline} from "./timeline.js";
import {toast} from "./toasts.js";
import {plural, problem, sentence, typing} from "./words.js";

const FIRST_PAGE = 50;
const OLDER_PAGE = 100;
const PEOPLE_PAGE = 200;
// More of what comes within a second is not read aloud.
const MOST_ALOUD = 3;
const PHONE = "(max-width: 47.99rem)";
const TABLET = "(max-width: 67.99rem)";
const PRIVATE = "Only the two of you see what you write here.";
const UNPROTECTED = "Names are not protected in this chat: whoever enters with one of your two names can read this.";
const STATES = {connecting: "Connecting…", open: "Connected", waiting: "Not connected", closed: "Signed out"};

export class ChatPage {
	#conversations = new Map();
	#active = null;
	// How far one has read: the number in a room, the time in a private conversation.
	#read = recall("read", {});
	// What is said in a conversation goes out one after another.
	#sendings = new Map();
	#fetching = new Set();
	#frame = 0;
	#state = null;
	#chat;
	#url;
	// Whether names are those of tokens.
	#isProtected;
	#drawers = [new Drawer("sidebar", "sidebar-open", PHONE), new Drawer("people", "people-open", TABLET)];
	#sidebar = new Sidebar((key) => this.#show(key, true));
	#people = new People(
		(name) => this.#show(`@${name}`, true),
		() => this.#lookAround(this.#active, this.#active.next),
	);
	#composer = new Composer(
		(text) => this.#send(text),
		(typing) => this.#tellTyping(typing),
	);
	#timeline = new Timeline({
		older: (conversation) => this.#fetchOlder(conversation),
		seen: () => this.#markRead(),
		settle: (sending, again) => this.#settle(sending, again),
	});
	#join;

	constructor(url, name, config) {
		this.#url = url;
		this.#isProtected = config.token !== null;
		const rooms = recall("rooms", config.rooms);
		// Of the others, one may be forbidden by now: they are asked for one by one.
		const safe = rooms.filter((room) => config.rooms.includes(room));
		const start = safe.length ? safe : config.rooms;
		const options = {name, rooms: start, history: FIRST_PAGE, token: config.token && token, ...config.seconds};
		this.#chat = new ChatClient(url, options);
		this.#join = new JoinDialog(this.#chat, (room) => this.#enter(room), (room) => this.#show(room, true));
		new Settings(this.#chat, new Operator(this.#chat), config.token ? null : () => this.#renamed());
		this.#listen();
		this.#renamed();
		for (const room of start) this.#conversation(room);
		byId("app").hidden = false;
		const last = recall("active", null, tab);
		this.#show(start.includes(last) ? last : start[0]);
		this.#composer.focus();
		this.#chat.connect();
		for (const room of rooms.filter((room) => !start.includes(room))) {
			const trouble = (error) => toast(`You could not get back into ${room}. ${problem(error)}`);
			this.#enter(room).then(() => room === last && this.#show(room), trouble);
		}
	}

	#listen() {
		const chat = this.#chat;
		chat.on("message", (message) => this.#receive(message.room, message));
		chat.on("private", (message) => {
			const other = message.from === chat.name ? message.to : message.from;
			this.#receive(`@${other ?? ""}`, message);
		});
		chat.on("missed", ({room}) => {
			const conversation = this.#conversation(room);
			if (conversation.last) conversation.note("Some messages are not kept any more.");
			this.#timeline.changed(conversation);
		});
		chat.on("begun", ({room}) => this.#begin(this.#conversation(room)));
		chat.on("expelled", ({room}) => {
			this.#close(room);
			toast(`You may not be in ${room} any more.`);
		});
		chat.on("presence", ({room, names, event}) => {
			const conversation = this.#conversations.get(room);
			if (!conversation) return;
			for (const name of names) {
				if (event === "join") conversation.people.set(name, 1);
				else conversation.people.delete(name);
			}
			// Of a crowd, not all are known.
			if (conversation.isCrowd) this.#lookAround(conversation);
			conversation.isCrowd = false;
			this.#showPeople(conversation);
		});
		chat.on("occupancy", ({room}) => {
			const conversation = this.#conversations.get(room);
			if (!conversation) return;
			conversation.isCrowd = true;
			if (conversation === this.#active) this.#showCount();
		});
		chat.on("typing", ({room, from, typing}) => {
			// One's own other tabs type too.
			if (from !== null && from !== chat.name) this.#conversations.get(room)?.types(from, typing);
			this.#showTyping();
		});
		chat.on("error", (error) => toast(problem(error)));
		chat.on("state", (state) => {
			this.#state = state;
			this.#showState();
			if (state.state !== "open") return;
			this.#fetchPrivate();
			for (const each of this.#conversations.values()) each.isListed &&= each.isCrowd;
			this.#look();
		});
		for (const type of ["online", "offline"]) addEventListener(type, () => chat.wake());
		document.addEventListener("visibilitychange", () => {
			remember("read", this.#read);
			if (document.hidden) return;
			chat.wake();
			this.#markRead();
		});
		addEventListener("pagehide", () => remember("read", this.#read));
		addEventListener("beforeunload", (event) => {
			if ([...this.#conversations.values()].some(({sending}) => sending.length)) event.preventDefault();
		});
		onClick("reconnect", () => {
			if (chat.state === "closed") location.reload();
			chat.wake();
		});
		onClick("leave", () => this.#leave());
		onClick("people-open", () => this.#lookAround(this.#active));
		onClick("people-close", () => this.#drawers[1].close());
		setInterval(() => {
			this.#showTyping();
			this.#showState();
		}, 1000);
	}

	#conversation(key) {
		if (!this.#conversations.has(key)) {
			const conversation = new Conversation(key);
			conversation.begun = conversation.isDirect;
			this.#conversations.set(key, conversation);
			this.#listed();
		}
		return this.#conversations.get(key);
	}

	#listed() {
		remember("rooms", [...this.#conversations.keys()].filter((key) => !key.startsWith("@")));
		this.#showSidebar();
	}

	/** Show a conversation; `chosen` says that one has asked for it. */
	#show(key, chosen = false) {
		const conversation = this.#conversation(key);
		const {isDirect, title, draft} = conversation;
		if (this.#active) {
			this.#active.draft = this.#composer.draft;
			if (!this.#active.unread) this.#active.marker = null;
		}
		this.#active = conversation;
		if (!isDirect) remember("active", key, tab);
		write("title", title);
		byId("leave").hidden = false;
		write("leave", isDirect ? "Close" : "Leave");
		this.#composer.address(isDirect ? title : `#${title}`);
		this.#composer.draft = draft;
		if (isDirect) this.#showEmpty(title, `You and ${title}`, this.#isProtected ? PRIVATE : UNPROTECTED);
		else this.#showEmpty(null, `Nobody has said anything in ${title} yet`, "Say hello. Whoever comes later can read it.");
		this.#timeline.show(conversation);
		this.#showPeople(conversation);
		this.#showTyping();
		this.#showSidebar();
		this.#look();
		if (!chosen) return;
		for (const drawer of this.#drawers) drawer.close();
		// On a phone, the keyboard would cover what one came to read.
		if (matchMedia(PHONE).matches) byId("title").focus();
		else this.#composer.focus();
	}

	#showEmpty(name, headline, text) {
		avatar(name ?? "#", byId("empty-mark"));
		write("empty-headline", headline);
		write("empty-text", text);
	}

	#close(key) {
		const conversation = this.#conversations.get(key);
		if (!this.#conversations.delete(key)) return;
		this.#listed();
		if (conversation !== this.#active) return;
		this.#active = null;
		const [next] = this.#conversations.keys();
		if (next) return this.#show(next);
		write("title", "No room");
		byId("leave").hidden = true;
		this.#showEmpty(null, "You are in no room", "Join one, or begin one of your own.");
		const nowhere = new Conversation("");
		nowhere.begun = true;
		this.#timeline.show(nowhere);
		this.#join.open();
	}

	#receive(key, {id, seq = 0, epoch = "", from, message: text, sentAt}) {
		const conversation = this.#conversation(key);
		const isActive = conversation === this.#active;
		const mine = from === this.#chat.name;
		// The first messages of a room have been said before one came; `begin` knows which are new.
		const seen = !conversation.begun || this.#isSeen(conversation);
		if (!conversation.receive({id, seq, epoch, from, text, sentAt, mine}, seen)) return;
		this.#timeline.changed(conversation, mine ? 0 : 1);
		if (!conversation.begun) return;
		if (isActive && !mine) this.#announce(`${from ?? "Somebody"}: ${text}`);
		if (isActive) this.#showTyping();
		if (!seen) this.#showSidebar();
	}

	#begin(conversation) {
		conversation.begun = true;
		conversation.hasOlder = conversation.first?.seq > 1;
		const {seq, epoch} = this.#read[conversation.key] ?? {};
		const unread = conversation.said.filter((each) => !each.mine && each.epoch === epoch && each.seq > seq);
		conversation.unread = unread.length;
		conversation.marker = unread[0]?.id ?? null;
		if (conversation === this.#active) this.#timeline.show(conversation);
		this.#showSidebar();
	}

	#isSeen(conversation) {
		return conversation === this.#active && !document.hidden && this.#timeline.isAtEnd;
	}

	#markRead() {
		const conversation = this.#active;
		if (!conversation?.begun || !this.#isSeen(conversation)) return;
		const {last, unread, key} = conversation;
		if (last) this.#read[key] = {seq: last.seq, epoch: last.epoch, sentAt: last.sentAt};
		conversation.unread = 0;
		if (unread) this.#showSidebar();
	}

	#send(text) {
		const conversation = this.#active;
		if (!conversation) return;
		if (!conversation.canAnswer) {
			this.#composer.draft = text;
			return toast("You cannot answer: whoever wrote this has no name.");
		}
		const sending = {ref: randomRef(), id: null, like: null, failed: null, from: this.#chat.name, text, sentAt: Date.now()};
		conversation.sending.push(sending);
		conversation.marker = null;
		this.#timeline.changed(conversation);
		this.#timeline.toEnd();
		this.#deliver(conversation, sending);
	}

	#deliver(conversation, sending) {
		const deliver = async () => {
			const {text, ref} = sending;
			const {isDirect, title, key} = conversation;
			try {
				const saying = isDirect ? this.#chat.private(title, text, {ref}) : this.#chat.say(text, key, {ref});
				conversation.acknowledged(sending, (await saying).id);
			} catch (error) {
				sending.like = null;
				sending.failed = error.code === "not_found" ? `${title} is not here right now.` : problem(error);
				if (conversation === this.#active) this.#announce("Your message was not sent.");
				else toast(`A message to ${title} was not sent.`);
			}
			this.#timeline.changed(conversation);
		};
		this.#sendings.set(conversation, Promise.resolve(this.#sendings.get(conversation)).then(deliver));
	}

	/** Send it after all, or give it up. */
	#settle(sending, again) {
		sending.failed = null;
		if (again) this.#deliver(this.#active, sending);
		else this.#active.drop(sending);
		this.#timeline.changed(this.#active);
		this.#composer.focus();
	}

	#tellTyping(typing) {
		const {isDirect, isCrowd} = this.#active ?? {isDirect: true};
		if (isDirect || isCrowd || this.#chat.state !== "open") return;
		return this.#chat.typing(this.#active.key, typing);
	}

	async #fetchOlder(conversation) {
		const {first, key} = conversation;
		if (this.#fetching.has(key)) return;
		this.#fetching.add(key);
		try {
			const page = await this.#chat.history(key, {before: first.seq, epoch: first.epoch, limit: OLDER_PAGE});
			conversation.hasOlder = page.more && page.messages.length > 0;
			const me = this.#chat.name;
			conversation.prepend(page.messages.map((each) => ({...each, text: each.message, mine: each.from === me})));
			this.#timeline.changed(conversation);
		} catch (error) {
			toast(`Older messages could not be loaded. ${problem(error)}`);
		} finally {
			this.#fetching.delete(key);
		}
	}

	/** Have what was said to one alone while one was away. */
	async #fetchPrivate() {
		const me = this.#chat.name;
		const {messages} = await this.#chat.history(`@${me}`).catch(() => ({messages: []}));
		for (const {id, from, message: text, sentAt} of messages) {
			if (from === me) continue;
			const conversation = this.#conversation(`@${from ?? ""}`);
			const seen = this.#isSeen(conversation) || sentAt <= this.#read[conversation.key]?.sentAt;
			conversation.receive({id, from, text, sentAt, mine: false}, seen);
			this.#timeline.changed(conversation);
		}
		this.#showSidebar();
	}

	async #enter(room) {
		const {members, count} = await this.#chat.join(room);
		const conversation = this.#conversation(room);
		const named = Object.values(members).reduce((sum, number) => sum + number, 0);
		// A crowd does not tell.
		if (named) conversation.sees({members, nameless: count - named, after: null}, null);
	}

	async #leave() {
		const {key, isDirect} = this.#active;
		try {
			if (!isDirect) await this.#chat.leave(key);
			this.#close(key);
			this.#composer.focus();
		} catch (error) {
			toast(problem(error));
		}
	}

	#renamed() {
		moveTo(this.#url, this.#chat.name);
		rememberName(this.#chat.name);
		this.#sidebar.showMe(this.#chat.name);
		this.#lookAround(this.#active);
	}

	/** See who is here, once: of a crowd, only where somebody looks. */
	#look() {
		const {isCrowd, isListed} = this.#active ?? {};
		if (isListed || (isCrowd && !byId("people").checkVisibility({visibilityProperty: true}))) return;
		this.#lookAround(this.#active);
	}

	/** See who is in a room: the first page of them, or the one after another. */
	async #lookAround(conversation, after = null) {
		if (!this.#chat.rooms.includes(conversation?.key) || this.#chat.state !== "open") return;
		try {
			conversation.sees(await this.#chat.who(conversation.key, {limit: PEOPLE_PAGE, after}), after);
			this.#showPeople(conversation);
		} catch (error) {
			if (after) toast(problem(error));
		}
	}

	#showPeople(conversation) {
		if (conversation !== this.#active || !conversation) return;
		const {isDirect, title, people, nameless, next} = conversation;
		const me = this.#chat.name;
		if (isDirect) this.#people.show(new Map([me, title].map((name) => [name, 1])), 0, me);
		else this.#people.show(people, nameless, me, next);
		this.#showCount();
	}

	#showCount() {
		const {isDirect, people, nameless, isCrowd, next, key} = this.#active;
		const known = people.size + nameless;
		const count = isCrowd || next ? this.#chat.count(key)?.toLocaleString() : null;
		write("people-heading", `People · ${isDirect ? 2 : (count ?? people.size)}`);
		const words = known ? `${plural(known, "person", "people")} here` : "";
		write("subtitle", isDirect ? "Just the two of you" : count ? `${count} here` : words);
	}

	/** Once a frame. */
	#showSidebar() {
		this.#frame ||= requestAnimationFrame(() => {
			this.#frame = 0;
			this.#sidebar.show([...this.#conversations.values()], this.#active);
		});
	}

	#showTyping() {
		write("typing", typing(this.#active?.whoTypes() ?? []));
	}

	#showState() {
		const {state, attempt, retryAt, why} = this.#state;
		write("state", STATES[state]);
		byId("state").classList.toggle("good", state === "open");
		byId("banner").hidden = state === "open" || (state === "connecting" && attempt === 0);
		const seconds = Math.ceil((retryAt - Date.now()) / 1000);
		let words = "The connection was lost. Trying again";
		if (!navigator.onLine) words = "You are offline. What you write is sent when you are back";
		else if (attempt > 2) words = "The chat cannot be reached. Trying again";
		if (why) words = sentence(why);
		else if (state === "closed") words = "You are not connected any more.";
		write("banner-text", words);
		write("countdown", retryAt && seconds > 0 && navigator.onLine ? `in ${seconds} s` : "");
		write("reconnect", state === "closed" ? "Connect again" : "Try now");
	}

	/** Say something to who does not see it. */
	#announce(text) {
		const announcer = byId("announcer");
		if (announcer.children.length >= MOST_ALOUD) return;
		const said = element("p", {}, text);
		announcer.append(said);
		setTimeout(() => said.remove(), 1000);
	}
}
