/** The operator's view: how the connection does. It asks for pongs only while it is shown. */

import {byId, write} from "./dom.js";
import {recall, remember} from "./memory.js";

const EVERY_MS = 5000;
// Five minutes of them.
const SHOWN = 60;
// Messages per second are averaged over so long.
const RATE_MS = 10_000;

export class Operator {
	#chat;
	#opened = 0;
	#rollovers = 0;
	#trips = [];
	#arrivals = [];
	#timers = [];
	isShown = recall("figures", false);

	constructor(chat) {
		this.#chat = chat;
		this.show(this.isShown);
		chat.on("state", ({state}) => (this.#opened += state === "open" ? 1 : 0));
		chat.on("rollover", () => (this.#rollovers += 1));
		for (const type of ["message", "private"]) chat.on(type, () => this.#arrivals.push(performance.now()));
	}

	show(shown) {
		remember("figures", shown);
		byId("operator").hidden = !shown;
		this.#timers.forEach(clearInterval);
		if (!shown) return;
		this.#timers = [setInterval(() => this.#measure(), EVERY_MS), setInterval(() => this.#count(), 1000)];
		this.#measure();
		this.#count();
	}

	async #measure() {
		if (this.#chat.state !== "open") return;
		const start = performance.now();
		await this.#chat.ping().catch(() => {});
		this.#trips = [...this.#trips, performance.now() - start].slice(-SHOWN);
		const highest = Math.max(20, ...this.#trips);
		const points = this.#trips.map((trip, index) => {
			const x = 240 - ((this.#trips.length - 1 - index) * 240) / (SHOWN - 1);
			return `${x.toFixed(1)},${(30 - (trip / highest) * 28).toFixed(1)}`;
		});
		byId("sparkline").firstElementChild.setAttribute("points", points.join(" "));
		const [least, most] = [Math.min(...this.#trips), Math.max(...this.#trips)].map(Math.round);
		byId("sparkline").setAttribute("aria-label", `${least} to ${most} ms over the last five minutes`);
		write("round-trip", `${Math.round(this.#trips.at(-1))} ms`);
	}

	#count() {
		const since = performance.now() - RATE_MS;
		this.#arrivals = this.#arrivals.filter((at) => at > since);
		write("rate", String((this.#arrivals.length * 1000) / RATE_MS));
		// A roll-over opens too.
		write("reconnects", String(Math.max(0, this.#opened - 1 - this.#rollovers)));
		write("rollovers", String(this.#rollovers));
	}
}
