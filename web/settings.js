/** What one can set: one's name, and whether the connection's figures are shown. */

import {byId} from "./dom.js";
import {FormField} from "./form-field.js";
import {nameProblem, normalName, problem} from "./words.js";

export class Settings {
  #dialog = /** @type {HTMLDialogElement} */ (byId("settings"));
  #field = new FormField("rename");

  /**
   * @param {{name: () => string, canRename: boolean, rename: (name: string) => Promise<unknown>,
   *   figures: boolean, showFigures: (shown: boolean) => void, signOut: () => void}} page
   */
  constructor({name, canRename, rename, figures, showFigures, signOut}) {
    byId("rename-field").hidden = !canRename;
    byId("settings-open").addEventListener("click", () => {
      this.#field.value = name();
      this.#dialog.showModal();
    });
    const figuresSwitch = /** @type {HTMLInputElement} */ (byId("operator-switch"));
    figuresSwitch.checked = figures;
    figuresSwitch.addEventListener("change", () => showFigures(figuresSwitch.checked));
    byId("sign-out").addEventListener("click", signOut);
    byId("settings-form").addEventListener("submit", async (event) => {
      event.preventDefault();
      const wanted = normalName(this.#field.value);
      if (canRename && wanted !== name()) {
        if (this.#field.complain(nameProblem(this.#field.value))) return;
        try {
          await rename(wanted);
        } catch (error) {
          this.#field.complain(problem(error));
          return;
        }
      }
      this.#dialog.close();
    });
  }
}
