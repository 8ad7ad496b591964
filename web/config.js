/**
 * Where the chat is: in `config.json` beside the page, or else in the page's own URL, `?url=wss://...`. In this
 * order: a link to a page must not lead its users, and their tokens, elsewhere.
 */

const SECONDS = ["pingSeconds", "answerSeconds", "probeSeconds", "rolloverSeconds", "renewSeconds"];

export async function load() {
	const given = await file().catch(() => ({}));
	const seconds = SECONDS.filter((name) => given[name] > 0).map((name) => [name, given[name]]);
	return {
		url: chatUrl(given.websocketUrl) ?? chatUrl(new URLSearchParams(location.search).get("url")),
		rooms: given.rooms ?? ["lobby"],
		nameClaim: given.nameClaim ?? "sub",
		token: tokenOf(given),
		seconds: Object.fromEntries(seconds),
	};
}

export async function token() {
	return tokenOf(await file());
}

/** The URL of a chat: ws or wss, and nobody's password in it. Null for any other. */
export function chatUrl(text) {
	const url = URL.canParse(text) ? new URL(text) : null;
	if (!url || !["ws:", "wss:"].includes(url.protocol) || url.username || url.password) return null;
	url.hash = "";
	return url.href;
}

async function file() {
	const answer = await fetch("config.json", {cache: "no-store"});
	return answer.ok ? answer.json() : {};
}

function tokenOf(given) {
	// What follows '#' stays in the browser. The file's token is for the file's chat, and for no other.
	const pasted = new URLSearchParams(location.hash.slice(1)).get("token");
	return pasted ?? (chatUrl(given.websocketUrl) ? (given.token ?? null) : null);
}
