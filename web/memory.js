/** What this browser remembers, or this tab over a reload; nothing, where it may not. */

const PREFIX = "chalice-chat:";
// What is one user's in one chat. Others who use this browser do not get it.
const PERSONAL = ["rooms", "read", "active"];
let owner = "";
const place = (key) => PREFIX + (PERSONAL.includes(key) ? owner : "") + key;
const browser = () => localStorage;
export const tab = () => sessionStorage;

export function recall(key, otherwise = null, storage = browser) {
	try {
		return JSON.parse(storage().getItem(place(key))) ?? otherwise;
	} catch {
		return otherwise;
	}
}

export function remember(key, value, storage = browser) {
	if (owner === null && PERSONAL.includes(key)) return;
	try {
		storage().setItem(place(key), JSON.stringify(value));
	} catch {
		// Private windows and full disks have no memory.
	}
}

/** For the next visit, the name is proposed; over a reload, it is kept. */
export function rememberName(name) {
	remember("name", name);
	remember("name", name, tab);
}

/** Keep what is personal for this user of this chat from now on. */
export function belongTo(chat, name) {
	owner = `${chat} ${name} `;
}

/** Keep it for the same user under another name. */
export function moveTo(chat, name) {
	const kept = [browser, tab].map((storage) => PERSONAL.map((key) => [key, recall(key, null, storage)]));
	if (owner === `${chat} ${name} `) return;
	forget();
	belongTo(chat, name);
	[browser, tab].forEach((storage, at) => {
		for (const [key, value] of kept[at]) if (value !== null) remember(key, value, storage);
	});
}

/** Leave nothing personal behind, and keep nothing from now on. */
export function forget() {
	try {
		for (const storage of [browser(), tab()]) {
			for (const key of PERSONAL) storage.removeItem(place(key));
			storage.removeItem(place("name"));
		}
	} catch {
		// There is nothing.
	}
	owner = null;
}
