/** What this browser remembers from one visit to the next; nothing, where it may not. */

const PREFIX = "chalice-chat:";

/** @param {string} key @param {unknown} otherwise */
export function recall(key, otherwise, storage = () => localStorage) {
  try {
    return JSON.parse(storage().getItem(PREFIX + key) ?? "null") ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** @param {string} key @param {unknown} value Null forgets it. */
export function remember(key, value, storage = () => localStorage) {
  try {
    if (value === null) storage().removeItem(PREFIX + key);
    else storage().setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    // Private windows and full disks have no memory.
  }
}

/** The memory of this tab alone: it lasts over a reload. */
export const tab = () => sessionStorage;
