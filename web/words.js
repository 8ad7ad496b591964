/** What people read: times, counts, and errors in human words. */

import {ChatError, NoAnswer, RequestFailed, Unconfirmed} from "./chat-client.js";

const TIME = new Intl.DateTimeFormat(undefined, {hour: "numeric", minute: "2-digit"});
const WHEN = new Intl.DateTimeFormat(undefined, {dateStyle: "full", timeStyle: "short"});
const DAY = new Intl.DateTimeFormat(undefined, {weekday: "long", day: "numeric", month: "long"});
const DAY_AND_YEAR = new Intl.DateTimeFormat(undefined, {dateStyle: "full"});

/** The hour, as `14:03`. */
export const time = (/** @type {number} */ ms) => TIME.format(ms);

/** The day and the hour. */
export const when = (/** @type {number} */ ms) => WHEN.format(ms);

/** The day, as `Today` or `Monday, 23 November`. */
export function day(/** @type {number} */ ms, now = Date.now()) {
  const today = new Date(now);
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (sameDay(ms, now)) return "Today";
  if (sameDay(ms, yesterday.getTime())) return "Yesterday";
  return (new Date(ms).getFullYear() === today.getFullYear() ? DAY : DAY_AND_YEAR).format(ms);
}

export function sameDay(/** @type {number} */ one, /** @type {number} */ other) {
  return new Date(one).toDateString() === new Date(other).toDateString();
}

/** A number of things, as `1 message` or `3 messages`. */
export function plural(/** @type {number} */ number, /** @type {string} */ one, many = `${one}s`) {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`;
}

/** Who is typing. */
export function typing(/** @type {string[]} */ names) {
  if (!names.length) return "";
  if (names.length === 1) return `${names[0]} is typing`;
  if (names.length === 2) return `${names[0]} and ${names[1]} are typing`;
  return "Several people are typing";
}

/** What went wrong, for people. */
export function problem(/** @type {unknown} */ error) {
  if (error instanceof RequestFailed) return OF_CODES[error.code] ?? sentence(error.message);
  if (error instanceof NoAnswer) return "The chat did not answer in time.";
  if (error instanceof Unconfirmed) return "The connection was lost, so this may not have been sent.";
  if (error instanceof ChatError) return "You are not connected.";
  throw error;
}

/** @type {Record<string, string>} */
const OF_CODES = {
  internal: "Something went wrong on the chat’s side.",
  not_in_room: "You are not in this room any more.",
  rate_limited: "That was a little fast. Wait a moment, then try again.",
  token_expired: "Your session has ended. Sign in again.",
  too_large: "That is too long to be sent.",
  unavailable: "The chat could not do that just now.",
};

/** A message of the server's as a sentence. */
export function sentence(/** @type {string} */ text) {
  return text.charAt(0).toLocaleUpperCase() + text.slice(1) + (/[.!?]$/u.test(text) ? "" : ".");
}

const NOT_IN_NAMES = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]/u;

/** A name as the chat will have it. */
export function normalName(/** @type {string} */ name) {
  return name.normalize("NFKC").trim().replace(/\s+/gu, " ");
}

/** Why the chat will not take a name; empty where it will. */
export function nameProblem(/** @type {string} */ name) {
  const normal = normalName(name);
  if (!normal) return "Please enter a name.";
  if ([...normal].length > 32) return "A name has 32 characters at most.";
  if (/[@#]/u.test(normal)) return "A name has no @ or # in it.";
  if (NOT_IN_NAMES.test(name + normal)) return "This name has invisible characters in it.";
  return "";
}

/** Why the chat will not take the name of a room; empty where it will. */
export function roomProblem(/** @type {string} */ room) {
  if (!room) return "Please enter the name of a room.";
  if (room.length > 64) return "The name of a room has 64 characters at most.";
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/u.test(room)) {
    return "Letters a to z, digits, dots, dashes and underscores only, and a letter or digit first.";
  }
  return "";
}
