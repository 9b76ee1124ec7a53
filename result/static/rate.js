// Votes per second over the last minute, from the differences of the total.
export const SECONDS = 60;
const SMOOTH = 3; // "now" is the mean of this many whole seconds, or it would jump too much to be read
const MOMENT = 1_000;

export class Rate {
  constructor() {
    this.buckets = new Map(); // second -> votes
    this.last = null;
  }

  // continuous: the votes came in just now. Otherwise (after a gap, or when polling) they came at some time
  // since the last total, and heaping them on one second would draw a peak that never was.
  record(total, at, continuous) {
    const { last } = this;
    this.last = { total, at };
    if (!last || total <= last.total) return; // a lower total is a reset
    const span = continuous ? Math.min(at - last.at, MOMENT) : at - last.at;
    this.spread(total - last.total, at - span, at);
  }

  spread(votes, from, to) {
    const length = Math.max(to - from, 1);
    for (let second = Math.floor(from / 1000); second <= Math.floor(to / 1000); second += 1) {
      const overlap = Math.min(to, (second + 1) * 1000) - Math.max(from, second * 1000);
      const share = to > from ? overlap / length : 1;
      this.buckets.set(second, (this.buckets.get(second) ?? 0) + votes * share);
    }
  }

  // The last minute's whole seconds, oldest first; the second under way would always look like a drop.
  series(at) {
    const present = Math.floor(at / 1000);
    for (const second of this.buckets.keys()) if (second < present - SECONDS) this.buckets.delete(second);
    return Array.from({ length: SECONDS }, (_, place) => this.buckets.get(present - SECONDS + place) ?? 0);
  }

  figures(at) {
    const series = this.series(at);
    const now = series.slice(-SMOOTH).reduce((sum, votes) => sum + votes, 0) / SMOOTH;
    return { series, now, peak: Math.max(...series) };
  }
}
