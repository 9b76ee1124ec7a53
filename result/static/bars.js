// The list of bars. Rows are kept and changed in place, so that a bar moves from where it was.
import { percent, votes } from "./words.js";

const STEPS = [10, 25, 50, 100]; // what a full bar may stand for, in percent; dashboard.html holds the same
const ROOM = 0.8; // a smaller step is taken only when the longest bar leaves some room, or the bars would flicker
const density = (count) => (count <= 4 ? "few" : count <= 9 ? "some" : "many");

export class Bars {
  constructor({ list, template, scale }) {
    Object.assign(this, { list, template, scale, full: 0 });
  }

  show(options) {
    if (!this.fits(options)) this.rebuild(options);
    this.rescale(options);
    const most = Math.max(...options.map((option) => option.votes));
    const first = options.filter((option) => option.votes === most).length > 1 ? "tied" : "leading";
    options.forEach((option, place) => this.fill(this.list.children[place], option, { most, first }));
  }

  rescale(options) {
    const top = Math.max(...options.map((option) => option.percent));
    const smallest = options.length <= 4 || top === 0 ? 100 : STEPS.find((step) => step === 100 || top < step * ROOM);
    if (top > this.full || smallest < this.full || smallest === 100) this.full = smallest;
    this.scale.hidden = this.full === 100;
    write(this.scale, `A full bar is ${this.full}%`);
  }

  fits(options) {
    const keys = [...this.list.children].map((row) => row.dataset.key);
    return keys.length === options.length && options.every((option, place) => option.key === keys[place]);
  }

  rebuild(options) {
    const rows = options.map((option) => {
      const row = this.template.content.firstElementChild.cloneNode(true);
      row.dataset.key = option.key;
      return row;
    });
    this.list.replaceChildren(...rows);
    this.list.dataset.density = density(options.length);
  }

  fill(row, option, { most, first }) {
    const leads = option.votes > 0 && option.votes === most;
    row.classList.toggle("is-leading", leads);
    row.querySelector(".row-lead").hidden = !leads;
    write(row.querySelector(".row-lead"), first);
    write(row.querySelector(".row-label"), option.label);
    write(row.querySelector(".row-votes"), votes(option.votes));
    write(row.querySelector(".row-percent"), percent(option.percent));
    row.querySelector(".bar-fill").setAttribute("width", `${(option.percent * 100) / this.full}%`);
  }
}

// Text that stays is left alone: a selection survives, and nothing is laid out again.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
