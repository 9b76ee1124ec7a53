// Waiting times between attempts: exponential, with full jitter, so that a thousand viewers of a service that
// restarted don't all come back in the same moment.
export class Backoff {
  constructor({ first = 500, longest = 10_000, random = Math.random } = {}) {
    Object.assign(this, { first, longest, random, attempts: 0 });
  }

  next() {
    const ceiling = Math.min(this.longest, this.first * 2 ** this.attempts);
    this.attempts += 1;
    return this.random() * ceiling;
  }

  reset() {
    this.attempts = 0;
  }
}
