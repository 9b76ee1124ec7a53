// Who takes votes, who counts, and why messages were rejected: lists that are made anew only when they say something else.
import { time } from "./words.js";

export class Lists {
  constructor({ services, workers, reasons, templates }) {
    Object.assign(this, { services, workers, reasons, templates, shown: {} });
  }

  show({ vote_services: services, workers, redis, last_rejected: reasons }) {
    this.fill("services", services && services.map(({ name, does }) => [name, does]), {
      none: "No vote service is connected to Redis.",
      unknown: "That can’t be known now.",
      make: (entry, [name, does]) => this.worker(entry, name, does),
    });
    // A worker keeps its lock while it waits for Redis.
    const counts = workers?.counting && redis !== "unreachable";
    const all = workers && [
      ...(workers.counting ? [[workers.counting, counts ? "counts" : "connected"]] : []),
      ...workers.standing_by.map((name) => [name, counts ? "stands by" : "connected"]),
    ];
    this.fill("workers", all, {
      none: "No worker is connected to the database.",
      unknown: "Who counts can’t be known now.",
      make: (entry, [name, does]) => this.worker(entry, name, does),
    });
    this.fill("reasons", reasons, {
      none: "None was.",
      unknown: "That can’t be known now.",
      make: (entry, rejection) => this.reason(entry, rejection),
    });
  }

  fill(name, entries, { none, unknown, make }) {
    const said = JSON.stringify(entries);
    if (said === this.shown[name]) return;
    this.shown[name] = said;
    const template = this.templates(name.replace(/s$/, "")).content.firstElementChild;
    this[name].replaceChildren(...(entries ?? []).map((entry) => make(template.cloneNode(true), entry)));
    const empty = this.templates(`${name}-empty`);
    empty.hidden = Boolean(entries?.length);
    empty.textContent = entries ? none : unknown;
  }

  worker(entry, name, does) {
    entry.dataset.does = does;
    entry.querySelector(".worker-does").textContent = does;
    entry.querySelector(".worker-name").textContent = name;
    return entry;
  }

  reason(entry, { reason, rejected_at: at }) {
    entry.querySelector(".reason-text").textContent = reason;
    entry.querySelector(".reason-time").replaceChildren(...(Date.parse(at) ? [time(at, Date.now())] : []));
    return entry;
  }
}
