// The server's clock as this page knows it, so that a viewer's wrong clock makes nothing look stale or live.
//
// Whatever time the server sends was read before it arrived here, so each one gives a lower bound of the
// server's present; the highest bound is the best. Old news (a page out of a cache) can't lower it.
const JUMP = 2_000;

export class ServerClock {
  constructor({ wall = Date.now, steady = () => performance.now() } = {}) {
    Object.assign(this, { wall, steady, offset: -Infinity, drift: wall() - steady(), jumped: false });
  }

  // A time that the server read just now, as ISO 8601 or as an HTTP date.
  observe(text) {
    const bound = Date.parse(text) - this.wall();
    if (Number.isNaN(bound)) return;
    this.notice();
    if (this.jumped || bound > this.offset) this.offset = bound;
    this.jumped = false;
  }

  now() {
    this.notice();
    return this.wall() + (Number.isFinite(this.offset) ? this.offset : 0);
  }

  // The viewer's clock was set, or the machine slept: the wall clock and the steady one part. Which of the two
  // it was can't be told, so the bound is kept only until the server speaks next.
  notice() {
    const drift = this.wall() - this.steady();
    if (Math.abs(drift - this.drift) > JUMP) this.jumped = true;
    this.drift = drift;
  }
}
