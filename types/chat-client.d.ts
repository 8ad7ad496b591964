/** The types of web/chat-client.js. The page does without them; TypeScript and editors do not. */

/* What docs/wire.md has. */

interface Message {
	room: string;
	seq: number;
	epoch: string;
	id: string;
	from: string | null;
	message: string;
	sentAt: number;
}

interface Private {
	id: string;
	from: string | null;
	to: string;
	message: string;
	sentAt: number;
}

/** `names` has all of them, also where it is one. */
interface Presence {
	room: string;
	name: string;
	names: string[];
	event: "join" | "leave";
	at: number;
}

interface Occupancy {
	room: string;
	count: number;
}

interface Typing {
	room: string;
	from: string | null;
	typing: boolean;
}

interface Goodbye {
	code: string;
	reason: string;
	retryAfter: number | null;
}

interface WireError {
	code: string;
	message: string;
	action: string | null;
	ref: string | null;
}

interface Ack {
	seq: number | null;
	epoch: string | null;
	id: string | null;
	duplicate: boolean;
}

interface Joined {
	seq: number;
	members: Record<string, number>;
	count: number;
}

interface WhoIsThere {
	members: Record<string, number>;
	nameless: number;
	count: number;
	more: boolean;
	after: string | null;
}

interface StoredMessages {
	seq: number;
	epoch: string | null;
	messages: Message[];
	more: boolean;
	complete: boolean;
	through: number;
}

/* What the client adds. */

/** `attempt` counts the connections that failed in a row; `retryAt` is as Date.now() has it. */
interface State {
	state: "connecting" | "open" | "waiting" | "closed";
	retryAt: number | null;
	attempt: number;
	why: string | null;
}

interface ChatEvents {
	message: Message;
	private: Private;
	presence: Presence;
	occupancy: Occupancy;
	typing: Typing;
	goodbye: Goodbye;
	/** One that answers no request. */
	error: WireError;
	/** Messages after a number may be lost for good: what is given next comes after them. */
	missed: {room: string; after: number};
	/** The old messages of a room have been given. */
	begun: {room: string};
	/** The server does not let this client be in a room. */
	expelled: {room: string};
	state: State;
	/** A second socket has taken over from the first. */
	rollover: {};
}

interface ChatOptions {
	/** The user; null for a nameless client, or where the token has the name. */
	name?: string | null;
	/** Rooms to be in from the start. */
	rooms?: string[];
	/** How many old messages of each room to begin with, 100 at most. */
	history?: number;
	/** A JWT; or what gives the one of now, before each connection and again before its `exp`. */
	token?: string | null | (() => string | null | Promise<string | null>);
	/** Between pings: API Gateway ends what idles for ten minutes. */
	pingSeconds?: number;
	/** For an answer, while there is a connection: a ping without one says that the connection is dead. */
	answerSeconds?: number;
	/** The same, for the ping of `wake`. */
	probeSeconds?: number;
	/** Age at which a socket is replaced: API Gateway ends it after two hours. */
	rolloverSeconds?: number;
	/** Before a token's `exp`, to renew it. */
	renewSeconds?: number;
	/** From 0 to 1, for the jitter. */
	random?: () => number;
}

interface SayOptions {
	/** That of an attempt that failed: what is said twice under one is said once. */
	ref?: string;
	/** Aborted, what has not been sent is never sent. */
	signal?: AbortSignal;
}

interface HistoryOptions {
	after?: number;
	before?: number;
	epoch?: string;
	limit?: number;
}
