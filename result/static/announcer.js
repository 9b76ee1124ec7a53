// The page's one live region. The tally is said at most every ten seconds, and only when it changed;
// going stale or live is said at once, since it changes what everything else means.
const PAUSE = 10_000;

export class Announcer {
  constructor(element) {
    Object.assign(this, { element, said: null, lastAt: performance.now() });
  }

  now(text) {
    this.element.textContent = text;
  }

  tally(text) {
    this.said ??= text; // the first one is on the page for everybody to read
    this.next = text;
    if (this.timer || text === this.said) return;
    const wait = Math.max(0, this.lastAt + PAUSE - performance.now());
    this.timer = setTimeout(() => this.flush(), wait);
  }

  flush() {
    this.timer = null;
    if (this.next === this.said) return;
    this.said = this.next;
    this.lastAt = performance.now();
    this.now(this.said);
  }
}
