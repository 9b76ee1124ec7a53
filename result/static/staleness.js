// Live or stale: one rule, the age of the last read of the table by the server's clock.
import { time } from "./words.js";

export const STALE_AFTER = 6_000; // the server reads at least every 3 s

// What can be said of the tally at this moment; pure, so that it can be told apart from how it is shown.
export function verdict({ readAt, now, connected }) {
  const reason = connected ? "the tally can’t be read" : "connection lost";
  if (!readAt) return { kind: "stale", reason: "The tally can’t be read yet, trying again" };
  if (now - Date.parse(readAt) <= STALE_AFTER) return { kind: "live" };
  return { kind: "stale", since: readAt, reason: `${reason}, trying again` };
}

// A snapshot of a process that has not read yet what another one has shown. One that is much older is no such snapshot:
// then the server's clock was set back.
export function isBehind(readAt, shownAt) {
  const behind = Date.parse(shownAt) - Date.parse(readAt);
  return behind > 0 && behind <= STALE_AFTER;
}

export class StateLine {
  constructor({ element, text, announce }) {
    Object.assign(this, { element, text, announce, shown: "" });
  }

  show({ kind, since, reason }, { asOf, polling, today }) {
    const parts = [];
    if (kind === "stale") parts.push(...(since ? ["Stale since ", time(since, today), `: ${reason}`] : [reason]));
    if (kind === "live") parts.push("Live", ...(asOf ? [" · as of ", time(asOf, today)] : []));
    if (kind === "live" && polling) parts.push(" · by polling");
    const said = parts.map((part) => part.textContent ?? part).join("");
    if (said === this.shown) return;
    this.shown = said;
    this.text.replaceChildren(...parts);
    if (kind !== this.kind && this.kind) this.announce(said);
    this.kind = this.element.dataset.kind = kind;
  }
}
