// The pipeline page's script: asks once a second while somebody looks, and writes what it is told.
import { Announcer } from "./announcer.js";
import { Charts } from "./pipeline-charts.js";
import { Lists } from "./pipeline-lists.js";
import { Poller } from "./poller.js";
import { time } from "./words.js";

const PAUSE = 1_000;
const OLD_AFTER = 5_000; // a look takes the server 1.5 s at most

const byId = (id) => document.getElementById(id);
const read = (id) => JSON.parse(byId(id).textContent);
const panels = new Map([...document.querySelectorAll("[data-panel]")].map((each) => [each.dataset.panel, each]));

const announcer = new Announcer(byId("announcer"));
const charts = new Charts(panels);
const lists = new Lists({
  services: byId("services"),
  workers: byId("workers"),
  reasons: byId("reasons"),
  templates: byId,
});
const poller = new Poller({
  url: new URL("api/pipeline", document.baseURI).href,
  pause: PAUSE,
  onAnswer: show,
  onServerTime: () => {},
  onState: tick,
});

let report = null;
let answeredAt = -Infinity;

function show(next) {
  const news = report && next.state !== report.state;
  [report, answeredAt] = [next, performance.now()];
  byId("verdict").dataset.severity = next.severity;
  write(byId("title"), next.title);
  write(byId("detail"), next.detail);
  document.title = `${next.title} · pipeline · tallyho`;
  for (const [name, words] of Object.entries(next.words)) {
    for (const [word, text] of Object.entries(words)) {
      write(panels.get(name).querySelector(`[data-word="${word}"]`), text);
    }
  }
  lists.show(next);
  charts.record(next);
  if (news) announcer.now(`${next.title} ${next.detail}`);
  tick();
}

// Live, or old: then nothing on the page is the present any more.
function tick() {
  const live = performance.now() - answeredAt < OLD_AFTER;
  const kind = live ? "live" : "stale";
  const state = byId("state");
  const said = live ? ["Live"] : ["Stale since ", time(report.read_at, Date.now()), ": connection lost, trying again"];
  if (state.dataset.kind === kind) return;
  const first = state.dataset.kind === "snapshot";
  state.dataset.kind = kind;
  byId("state-text").replaceChildren(...said);
  if (!first) announcer.now(byId("state-text").textContent);
}

// Text that stays is left alone: a selection survives, and nothing is laid out again.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

charts.begin(read("history"));
show(read("report"));
poller.start();
document.addEventListener("visibilitychange", () => !document.hidden && poller.resume());
window.addEventListener("online", () => poller.resume());
setInterval(tick, 500);
