// Asks again and again: for the tally where no WebSocket gets through, for the pipeline always.
import { Backoff } from "./backoff.js";

const PAUSE = 2_000;
const PATIENCE = 5_000;

export class Poller {
  constructor({ url, pause = PAUSE, onAnswer, onServerTime, onState }) {
    Object.assign(this, { url, pause, onAnswer, onServerTime, onState });
    Object.assign(this, { running: false, answered: false, failed: false });
    this.backoff = new Backoff();
  }

  start() {
    if (this.running) return;
    this.running = true;
    this.ask();
  }

  stop() {
    this.running = this.answered = false;
    clearTimeout(this.timer);
    this.request?.abort();
  }

  resume() {
    if (!this.running) return;
    this.backoff.reset();
    this.ask();
  }

  // onAnswer(snapshot, {afterFailure}): afterFailure is true when the question before had no answer.
  async ask() {
    clearTimeout(this.timer);
    this.request?.abort();
    if (document.hidden) return; // nobody looks; resume() asks at once when somebody does
    const request = (this.request = new AbortController());
    const patience = setTimeout(() => request.abort(), PATIENCE);
    const snapshot = await this.fetchTally(request.signal);
    clearTimeout(patience);
    if (!this.running || this.request !== request) return; // stopped, or overtaken by a newer question
    this.answered = snapshot !== null;
    if (snapshot) this.backoff.reset();
    this.timer = setTimeout(() => this.ask(), snapshot ? this.pause : this.backoff.next());
    if (snapshot) this.onAnswer(snapshot, { afterFailure: this.failed });
    this.failed = !snapshot;
    this.onState();
  }

  async fetchTally(signal) {
    try {
      const answer = await fetch(this.url, { cache: "no-store", signal });
      if (answer.headers.has("Date")) this.onServerTime(answer.headers.get("Date"));
      return answer.ok ? await answer.json() : null;
    } catch {
      return null; // no network, no answer in time, or not JSON: all of them mean "ask again"
    }
  }
}
