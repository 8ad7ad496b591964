/** Where one writes. */

import {byId} from "./dom.js";

const LONGEST = 4096;
// Told from here on how much is left.
const NEARLY = 3900;
const TYPING_MS = 3000;

export class Composer {
  #form = /** @type {HTMLFormElement} */ (byId("composer"));
  #text = /** @type {HTMLTextAreaElement} */ (byId("text"));
  #typing;
  #saidAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #stopped;

  /** @param {(text: string) => void} send @param {(typing: boolean) => void} typing */
  constructor(send, typing) {
    this.#typing = typing;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.replace(/\s+$/u, "").normalize("NFC");
      if (!text.trim() || [...text].length > LONGEST) return;
      this.draft = "";
      this.#stop();
      send(text);
    });
    this.#text.addEventListener("keydown", (event) => {
      // The Enter that ends a composition (as of Japanese) is not for us.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
    this.#text.addEventListener("input", () => this.#changed());
    this.#changed(false);
  }

  get draft() {
    return this.#text.value;
  }

  set draft(/** @type {string} */ text) {
    this.#text.value = text;
    this.#changed(false);
  }

  /** Say whom one writes to. */
  address(/** @type {string} */ to) {
    this.#stop();
    this.#text.placeholder = `Message ${to}`;
    byId("text-label").textContent = `Message ${to}`;
  }

  focus() {
    this.#text.focus();
  }

  #changed(typed = true) {
    this.#text.style.setProperty("height", "auto");
    this.#text.style.setProperty("height", `${this.#text.scrollHeight}px`);
    const length = [...this.#text.value].length;
    const left = byId("left");
    left.textContent = length > NEARLY ? ` · ${LONGEST - length} characters left` : "";
    left.classList.toggle("over", length > LONGEST);
    const nothing = !this.#text.value.trim();
    byId("send").toggleAttribute("data-idle", nothing || length > LONGEST);
    if (!typed) return;
    if (nothing) this.#stop();
    else this.#go();
  }

  #go() {
    clearTimeout(this.#stopped);
    this.#stopped = setTimeout(() => this.#stop(), TYPING_MS);
    if (Date.now() - this.#saidAt < TYPING_MS) return;
    this.#saidAt = Date.now();
    this.#typing(true);
  }

  #stop() {
    clearTimeout(this.#stopped);
    if (!this.#saidAt) return;
    this.#saidAt = 0;
    this.#typing(false);
  }
}
