/** What this browser remembers, or this tab over a reload; nothing, where it may not. */

const PREFIX = "chalice-chat:";
const browser = () => localStorage;
export const tab = () => sessionStorage;

export function recall(key, otherwise = null, storage = browser) {
	try {
		return JSON.parse(storage().getItem(PREFIX + key)) ?? otherwise;
	} catch {
		return otherwise;
	}
}

export function remember(key, value, storage = browser) {
	try {
		storage().setItem(PREFIX + key, JSON.stringify(value));
	} catch {
		// Private windows and full disks have no memory.
	}
}

/** For the next visit, the name is proposed; over a reload, it is kept. */
export function rememberName(name) {
	remember("name", name);
	remember("name", name, tab);
}
