// The dashboard's script: takes snapshots from the connection and hands them to what shows them.
import { Announcer } from "./announcer.js";
import { Bars } from "./bars.js";
import { Chart } from "./chart.js";
import { ServerClock } from "./clock.js";
import { Connection } from "./connection.js";
import { Rate } from "./rate.js";
import { StateLine, isBehind, verdict } from "./staleness.js";
import { summary, total } from "./words.js";

const byId = (id) => document.getElementById(id);
const embedded = byId("snapshot");
const title = document.title.replace(byId("question").textContent, "");

const clock = new ServerClock();
const rate = new Rate();
const announcer = new Announcer(byId("announcer"));
const bars = new Bars({ list: byId("tally"), template: byId("row"), scale: byId("scale") });
const chart = new Chart({ figure: byId("rate"), svg: byId("chart"), now: byId("rate-now"), peak: byId("rate-peak") });
const state = new StateLine({
  element: byId("state"),
  text: byId("state-text"),
  announce: (text) => announcer.now(text),
});
const connection = new Connection({
  socketUrl: socketUrl(),
  pollUrl: new URL("api/tally", document.baseURI).href,
  onSnapshot: show,
  onServerTime: (text) => clock.observe(text),
  onState: tick,
});

let snapshot = null;

// Relative to the page, so that it works under a proxy's path too.
function socketUrl() {
  const url = new URL("ws", document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

function show(next, { continuous }) {
  if (snapshot && isBehind(next.read_at, snapshot.read_at)) return;
  // Only a newer read tells the time: the same one again says that the server reads nothing new.
  if (!snapshot || Date.parse(next.read_at) > Date.parse(snapshot.read_at)) clock.observe(next.read_at);
  snapshot = next;
  bars.show(next.options);
  byId("total").textContent = total(next.total);
  showQuestion(next.question);
  rate.record(next.total, performance.now(), continuous);
  announcer.tally(summary(next));
  tick();
}

function showQuestion(question) {
  if (byId("question").textContent === question) return;
  byId("question").textContent = question;
  byId("question").classList.toggle("is-long", question.length > 60);
  document.title = question + title;
}

function tick() {
  const now = clock.now();
  const found = verdict({ readAt: snapshot?.read_at, now, connected: connection.connected });
  state.show(found, { asOf: snapshot?.as_of, polling: connection.poller.answered, today: Date.now() });
  if (snapshot) chart.show(rate.figures(performance.now()), found.kind === "live");
}

clock.observe(embedded.dataset.serverNow);
const first = JSON.parse(embedded.textContent);
if (first) show(first, { continuous: false });
connection.start();
setInterval(tick, 500);
tick();
