/** The operator's view: how the connection does. */

import {byId} from "./dom.js";

const EVERY_MS = 5000;
const SHOWN = 60;
// Over so long, messages per second are averaged.
const RATE_MS = 10_000;

export class Operator {
  #chat;
  #opened = 0;
  #rollovers = 0;
  /** Of the last five minutes, in ms; null where there was no answer. @type {(number | null)[]} */
  #trips = [];
  /** @type {number[]} */
  #arrivals = [];
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #second;

  /** @param {import("./chat-client.js").ChatClient} chat */
  constructor(chat) {
    this.#chat = chat;
    chat.on("rollover", () => {
      this.#rollovers += 1;
      // A roll-over opens too, and is no reconnect.
      this.#opened -= 1;
    });
    chat.on("state", ({state}) => (this.#opened += state === "open" ? 1 : 0));
    for (const type of /** @type {const} */ (["message", "private"])) chat.on(type, () => this.#arrived());
  }

  /** Show it or not. It asks the server for its pongs only while it is shown. */
  show(/** @type {boolean} */ shown) {
    byId("operator").hidden = !shown;
    clearInterval(this.#timer);
    clearInterval(this.#second);
    if (!shown) return;
    this.#timer = setInterval(() => void this.#measure(), EVERY_MS);
    this.#second = setInterval(() => this.#count(), 1000);
    void this.#measure();
    this.#count();
  }

  #arrived() {
    this.#arrivals.push(performance.now());
    if (this.#arrivals.length > 5000) this.#arrivals.splice(0, 1000);
  }

  async #measure() {
    const start = performance.now();
    let trip = null;
    if (this.#chat.state === "open") {
      await this.#chat.ping().then(
        () => (trip = performance.now() - start),
        () => {},
      );
    }
    this.#trips.push(trip);
    this.#trips.splice(0, this.#trips.length - SHOWN);
    byId("round-trip").textContent = trip === null ? "–" : `${Math.round(trip)} ms`;
    this.#draw();
  }

  #count() {
    const since = performance.now() - RATE_MS;
    this.#arrivals = this.#arrivals.filter((at) => at > since);
    const rate = this.#arrivals.length / (RATE_MS / 1000);
    byId("rate").textContent = rate >= 10 || rate === 0 ? rate.toFixed(0) : rate.toFixed(1);
    byId("reconnects").textContent = String(Math.max(0, this.#opened - 1));
    byId("rollovers").textContent = String(this.#rollovers);
  }

  #draw() {
    const highest = Math.max(20, ...this.#trips.map((trip) => trip ?? 0));
    const line = byId("sparkline").querySelector("polyline");
    const points = this.#trips.flatMap((trip, index) => {
      const x = 240 - (this.#trips.length - 1 - index) * (240 / (SHOWN - 1));
      return trip === null ? [] : [`${x.toFixed(1)},${(30 - (trip / highest) * 28).toFixed(1)}`];
    });
    line?.setAttribute("points", points.join(" "));
    const known = this.#trips.filter((trip) => trip !== null);
    const words = known.length
      ? `Round-trip time over the last five minutes: ${Math.round(Math.min(...known))} to ${Math.round(Math.max(...known))} ms`
      : "Round-trip time over the last five minutes: not known";
    byId("sparkline").setAttribute("aria-label", words);
  }
}
