// The small charts: for each look of the last minute a stroke, as tall as its figure; where nothing could be known a
// pale one from top to bottom.
import { rate } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [240, 40];
const LOOKS = 60;
const STEP = WIDTH / LOOKS;
const SECOND = 1_000;
const SLOW = 5; // seconds across which the server tells a rate

// What each panel draws of a report; null means that it can't be known.
const FIGURES = {
  accepted: ({ accepted }) => flow(accepted),
  waiting: ({ waiting }) => waiting,
  recorded: ({ recorded }) => flow(recorded),
  oldest: ({ oldest_waiting_seconds: seconds }) => seconds,
  rejected: ({ rejected }) => rejected,
  viewers: ({ viewers }) => viewers,
  voting: ({ vote_services: services }) => services && services.reduce((sum, each) => sum + told(each), 0),
  workers: ({ workers }) => workers && workers.standing_by.length + (workers.counting ? 1 : 0),
};

const told = ({ refused, unrecorded }) => refused + unrecorded; // to come again, or that it is no good
// A rate takes two looks: before the second one nothing is missing yet.
const flow = (known) => known && (known.per_second ?? undefined);
const say = (value) => (Number.isInteger(value) ? value.toLocaleString("en") : rate(value));

export class Charts {
  constructor(panels) {
    this.charts = [...panels].map(([name, panel]) => new Chart(panel, FIGURES[name]));
    this.looks = [];
  }

  // What the server has seen while others watched.
  begin(history) {
    for (const look of history) this.add(look);
  }

  record(report) {
    this.add(report);
    for (const chart of this.charts) chart.show(this.looks);
  }

  // A look that took some seconds stands for all of them; where nobody looked is a gap.
  add(report) {
    const at = Date.parse(report.read_at);
    if (at <= this.lastAt) return;
    const seconds = Math.max(1, Math.round((at - this.lastAt) / SECOND) || 1);
    this.lastAt = at;
    const before = Array(Math.min(seconds - 1, LOOKS)).fill(seconds > SLOW ? null : report);
    this.looks = [...this.looks, ...before, report].slice(-LOOKS);
  }
}

class Chart {
  constructor(panel, figure) {
    const svg = panel.querySelector(".chart");
    const note = panel.querySelector(".chart-note");
    Object.assign(this, { figure, svg, label: svg.getAttribute("aria-label") });
    this.title = panel.querySelector(".panel-title").textContent;
    this.most = panel.querySelector('[data-word="most"]');
    this.strokes = Array.from({ length: LOOKS }, (_, place) => stroke(place));
    svg.replaceChildren(...this.strokes);
    svg.removeAttribute("hidden");
    note.hidden = false;
  }

  show(looks) {
    const figures = looks.map((look) => look && this.figure(look));
    const most = Math.max(0, ...figures.map((figure) => figure ?? 0));
    const first = LOOKS - figures.length;
    this.strokes.forEach((rect, place) => this.draw(rect, figures[place - first], most || 1));
    const now = figures.at(-1);
    this.most.textContent = say(most);
    const present = (now ?? null) === null ? "now unknown" : `now ${say(now)}`;
    this.svg.setAttribute("aria-label", `${this.title}, ${this.label}: ${present}, most ${say(most)}`);
  }

  // undefined: nothing to draw yet; null: what can't be known.
  draw(rect, figure, most) {
    const height = figure === null ? HEIGHT : ((figure ?? 0) / most) * HEIGHT;
    rect.classList.toggle("unknown", figure === null);
    rect.setAttribute("y", HEIGHT - height);
    rect.setAttribute("height", height);
  }
}

function stroke(place) {
  const rect = document.createElementNS(SVG, "rect");
  rect.setAttribute("x", place * STEP + STEP * 0.15);
  rect.setAttribute("width", STEP * 0.7);
  return rect;
}
