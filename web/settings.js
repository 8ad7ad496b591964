/** What one can set: one's name, and whether the connection's figures are shown. */

import {byId} from "./dom.js";
import {FormField} from "./form-field.js";
import {nameProblem, normalName, problem} from "./words.js";

export class Settings {
  /** `page`: {canRename, figures, name(), rename(name), showFigures(shown), signOut()}. */
  constructor(page) {
    const dialog = byId("settings");
    const field = new FormField("rename");
    const figures = byId("figures");
    byId("rename-field").hidden = !page.canRename;
    figures.checked = page.figures;
    byId("settings-open").addEventListener("click", () => {
      field.value = page.name();
      dialog.showModal();
    });
    figures.addEventListener("change", () => page.showFigures(figures.checked));
    byId("sign-out").addEventListener("click", () => page.signOut());
    byId("settings-form").addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const wanted = normalName(field.value);
        if (wanted !== page.name()) {
          if (field.complain(nameProblem(field.value))) return;
          await page.rename(wanted);
        }
        dialog.close();
      } catch (error) {
        field.complain(problem(error));
      }
    });
  }
}
