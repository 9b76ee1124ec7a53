// Brings snapshots to the page: by WebSocket, or by asking again and again where WebSockets don't get through.
import { Backoff } from "./backoff.js";
import { Poller } from "./poller.js";

const FIRST_MESSAGE = 5_000; // the server sends a snapshot at once; a proxy that swallows upgrades sends nothing
const NEXT_MESSAGE = 12_000; // the server's heartbeat is every 3 s or so; silence means a dead connection
const QUIET = 5_000; // silence long enough to doubt it
const SOCKET_AGAIN = 30_000; // while polling
const SERVICE_RESTART = 1012; // the server's word for "come back at once": another process is there already
const BLOCKED_AFTER = 2; // failures in a row before a WebSocket counts as blocked ...
const BLOCKED_AFTER_IT_WORKED = 6; // ... more of them if it once worked: then the server is more likely down

export class Connection {
  // onSnapshot(snapshot, {continuous}): continuous is true when no change since the last one can be older
  // than a moment. onServerTime(text): a time the server read just now. onState(): `connected` may differ.
  constructor({ socketUrl, pollUrl, onSnapshot, onServerTime, onState }) {
    Object.assign(this, { socketUrl, onSnapshot, onState });
    this.backoff = new Backoff();
    this.failures = 0;
    this.everWorked = false;
    this.poller = new Poller({ url: pollUrl, onAnswer: (...answer) => this.polled(...answer), onServerTime, onState });
  }

  get connected() {
    return this.hears || this.poller.answered;
  }

  get hears() {
    return Boolean(this.socket && this.delivered) && performance.now() - this.heardAt < QUIET;
  }

  start() {
    this.open();
    document.addEventListener("visibilitychange", () => this.cameBack());
    window.addEventListener("online", () => this.cameBack());
    window.addEventListener("pagehide", () => this.drop());
    window.addEventListener("pageshow", (event) => event.persisted && this.cameBack());
  }

  open() {
    this.drop();
    this.delivered = false;
    try {
      this.socket = new WebSocket(this.socketUrl);
    } catch {
      this.lost(); // a policy forbids it
      return;
    }
    this.socket.onmessage = (event) => this.received(event.data);
    this.socket.onclose = ({ code }) => this.lost({ atOnce: code === SERVICE_RESTART && this.delivered });
    this.expect(FIRST_MESSAGE);
  }

  // A half-open connection reports nothing by itself.
  expect(within) {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.lost(), within);
  }

  received(text) {
    const continuous = this.delivered;
    const snapshot = JSON.parse(text);
    Object.assign(this, { delivered: true, everWorked: true, failures: 0, heardAt: performance.now() });
    this.backoff.reset();
    this.poller.stop();
    this.expect(NEXT_MESSAGE);
    this.onSnapshot(snapshot, { continuous });
  }

  lost({ atOnce = false } = {}) {
    const worked = this.delivered;
    this.drop();
    if (atOnce) {
      this.open();
      return;
    }
    this.failures = worked ? 0 : this.failures + 1;
    const blocked = this.failures >= (this.everWorked ? BLOCKED_AFTER_IT_WORKED : BLOCKED_AFTER);
    if (blocked) this.poller.start();
    const wait = blocked ? SOCKET_AGAIN * (0.8 + 0.4 * Math.random()) : this.backoff.next();
    this.retry = setTimeout(() => this.open(), wait);
    this.onState();
  }

  polled(snapshot, { afterFailure }) {
    this.onSnapshot(snapshot, { continuous: false });
    if (afterFailure && !this.socket) this.open(); // the server was down and is back: perhaps nothing is blocked
  }

  // The viewer is back, or the network is: no reason to wait any longer.
  cameBack() {
    if (document.hidden) return;
    this.poller.resume();
    if (this.hears) return;
    this.backoff.reset();
    this.open();
  }

  drop() {
    clearTimeout(this.watchdog);
    clearTimeout(this.retry);
    if (!this.socket) return;
    this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
    this.socket = null;
    this.delivered = false;
  }
}
