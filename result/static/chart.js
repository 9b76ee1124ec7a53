// The chart of the rate: a stroke for each second, as tall as the votes that came in it.
import { SECONDS } from "./rate.js";
import { rate as say } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [240, 48];
const STEP = WIDTH / SECONDS;

export class Chart {
  constructor({ figure, svg, now, peak }) {
    Object.assign(this, { figure, svg, now, peak });
    this.strokes = Array.from({ length: SECONDS }, (_, place) => stroke(place));
    svg.replaceChildren(...this.strokes);
  }

  // known: false while the tally is stale, when nobody can say how many votes come in.
  show({ series, now, peak }, known) {
    this.figure.hidden = false;
    const top = Math.max(peak, 1);
    this.strokes.forEach((rect, place) => {
      const height = (series[place] / top) * HEIGHT;
      rect.setAttribute("y", HEIGHT - height);
      rect.setAttribute("height", height);
    });
    this.now.textContent = known ? say(now) : "?";
    this.peak.textContent = say(peak);
    const present = known ? `now ${say(now)}` : "now unknown";
    this.svg.setAttribute("aria-label", `Votes per second over the last minute: ${present}, peak ${say(peak)}`);
  }
}

function stroke(place) {
  const rect = document.createElementNS(SVG, "rect");
  rect.setAttribute("x", place * STEP + STEP * 0.15);
  rect.setAttribute("width", STEP * 0.7);
  return rect;
}
