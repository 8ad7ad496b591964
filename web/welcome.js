/** The door: under which name one comes in, and to which chat where the page does not know. */

import {chatUrl} from "./config.js";
import {byId} from "./dom.js";
import {FormField} from "./form-field.js";
import {nameProblem, normalName} from "./words.js";

/**
 * Ask who comes in.
 *
 * @param {{name: string, url: string | null, needsName: boolean}} known
 * @returns {Promise<{name: string, url: string}>}
 */
export function welcome({name, url, needsName}) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("welcome"));
  const [nameField, urlField] = [new FormField("name"), new FormField("url")];
  nameField.value = name;
  byId("name-field").hidden = !needsName;
  byId("url-field").hidden = url !== null;
  if (url === null) byId("welcome-lead").textContent = "This page does not know its chat yet. Where is it?";
  // There is no way around the door.
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.showModal();
  return new Promise((resolve) => {
    byId("welcome-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const chat = url ?? chatUrl(urlField.value);
      if (needsName && nameField.complain(nameProblem(nameField.value))) return;
      if (chat === null) {
        urlField.complain("The address of a chat begins with wss:// or ws://.");
        return;
      }
      dialog.close();
      resolve({name: normalName(nameField.value), url: chat});
    });
  });
}
