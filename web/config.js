/**
 * Where the chat is, and how to be let in.
 *
 * `config.json` beside the page has `websocketUrl`, and may have `token`, `nameClaim`, `rooms`, `pingSeconds`,
 * `rolloverSeconds`, `renewSeconds` and `answerSeconds`. Where it has no URL, the page's own URL may:
 * `?url=wss://...`. In this order: a link to a page must not lead its users, and their tokens, elsewhere.
 */

const SECONDS = ["pingSeconds", "rolloverSeconds", "renewSeconds", "answerSeconds", "probeSeconds"];

/**
 * @typedef {{url: string | null, rooms: string[], nameClaim: string, seconds: Record<string, number>,
 *   token: string | null}} Config
 */

/** @returns {Promise<Config>} */
export async function load() {
  const given = await file().catch(() => /** @type {Record<string, any>} */ ({}));
  const asked = new URLSearchParams(location.search).get("url");
  const seconds = SECONDS.filter((name) => typeof given[name] === "number" && given[name] > 0);
  return {
    url: chatUrl(given.websocketUrl) ?? chatUrl(asked),
    rooms: Array.isArray(given.rooms) ? given.rooms.map(String) : ["lobby"],
    nameClaim: typeof given.nameClaim === "string" ? given.nameClaim : "sub",
    seconds: Object.fromEntries(seconds.map((name) => [name, given[name]])),
    token: tokenOf(given),
  };
}

/** The token of now: a session that lasts gets a new one from time to time. */
export async function token() {
  return tokenOf(await file());
}

/** The URL of a chat: ws or wss, and nobody's password in it. Null for any other. */
export function chatUrl(/** @type {unknown} */ text) {
  if (typeof text !== "string" || !URL.canParse(text)) return null;
  const url = new URL(text);
  if (!["ws:", "wss:"].includes(url.protocol) || url.username || url.password) return null;
  url.hash = "";
  return url.href;
}

/** @returns {Promise<Record<string, any>>} */
async function file() {
  const answer = await fetch("config.json", {cache: "no-store"});
  return answer.ok ? answer.json() : {};
}

function tokenOf(/** @type {Record<string, unknown>} */ given) {
  // What follows '#' stays in the browser; neither the host nor a log sees it.
  const pasted = new URLSearchParams(location.hash.slice(1)).get("token");
  // The file's token is for the file's chat, and for no other.
  return pasted ?? (chatUrl(given.websocketUrl) && typeof given.token === "string" ? given.token : null);
}
