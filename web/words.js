/** What people read: times, counts, and errors in human words. */

import {ChatError, NoAnswer, Unconfirmed} from "./chat-client.js";

const TIME = new Intl.DateTimeFormat(undefined, {hour: "numeric", minute: "2-digit"});
const DAY = new Intl.DateTimeFormat(undefined, {weekday: "long", day: "numeric", month: "long"});
const DAY_AND_YEAR = new Intl.DateTimeFormat(undefined, {dateStyle: "long"});

export const time = (ms) => TIME.format(ms);

/** The day, as `Today` or `Monday, 23 November`. */
export function day(ms) {
	const now = new Date();
	if (sameDay(ms, now)) return "Today";
	if (sameDay(ms, new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1))) return "Yesterday";
	return (new Date(ms).getFullYear() === now.getFullYear() ? DAY : DAY_AND_YEAR).format(ms);
}

export function sameDay(one, other) {
	return new Date(one).toDateString() === new Date(other).toDateString();
}

/** A number of things, as `1 message` or `3 messages`. */
export function plural(number, one, many = `${one}s`) {
	return `${number.toLocaleString()} ${number === 1 ? one : many}`;
}

export function typing(names) {
	if (names.length > 2) return "Several people are typing";
	return names.length ? `${names.join(" and ")} ${names.length === 1 ? "is" : "are"} typing` : "";
}

const PROBLEMS = {
	internal: "Something went wrong on the chat’s side.",
	not_in_room: "You are not in this room any more.",
	rate_limited: "That was a little fast. Wait a moment, then try again.",
	token_expired: "Your session has ended. Sign in again.",
	too_large: "That is too long to be sent.",
	unavailable: "The chat could not do that just now.",
};

export function problem(error) {
	if (error.code) return PROBLEMS[error.code] ?? sentence(error.message);
	if (error instanceof NoAnswer) return "The chat did not answer in time.";
	if (error instanceof Unconfirmed) return "The connection was lost, so this may not have been sent.";
	if (error instanceof ChatError) return "You are not connected.";
	throw error;
}

export function sentence(text) {
	return text.charAt(0).toLocaleUpperCase() + text.slice(1) + (/[.!?]$/u.test(text) ? "" : ".");
}

const LONGEST_NAME = 64;
// The two joiners may be where a script needs them, which the chat knows.
const UNSEEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u;
// After a sign one shows, after a letter none does.
const SELECTORS = /(?<!\p{S})\p{Variation_Selector}/gu;

/** A name as the chat will have it. */
export function normalName(name) {
	return name.replace(SELECTORS, "").normalize("NFKC").trim().replace(/\s+/gu, " ");
}

/** Why the chat will not take a name; empty where it will. */
export function nameProblem(name) {
	const normal = normalName(name);
	if (!normal) return "Please enter a name.";
	if ([...normal].length > LONGEST_NAME) return `A name has ${LONGEST_NAME} characters at most.`;
	if (/[@#]/u.test(normal)) return "A name has no @ or # in it.";
	return UNSEEN.test((name + normal).replace(/\p{Variation_Selector}/gu, "")) ? "This name has invisible characters in it." : "";
}
