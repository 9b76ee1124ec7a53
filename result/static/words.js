// Numbers and times as the page writes them. Numbers follow the page's language, times the viewer's.
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDecimal = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const dayAndClock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export const votes = (count) => `${whole.format(count)} ${count === 1 ? "vote" : "votes"}`;
export const total = (count) => (count === 0 ? "No votes yet" : votes(count));
export const percent = (value) => `${oneDecimal.format(value)}%`;
export const rate = (value) => (value === 0 || value >= 100 ? whole.format(value) : oneDecimal.format(value));

// A <time>, with the day where it isn't today's.
export function time(iso, today) {
  const instant = new Date(iso);
  const element = document.createElement("time");
  element.dateTime = iso;
  const sameDay = instant.toDateString() === new Date(today).toDateString();
  element.textContent = (sameDay ? clock : dayAndClock).format(instant);
  return element;
}

// One sentence or two for those who hear the page; 26 options would be a speech, so the first three.
export function summary({ options, total: all }) {
  if (all === 0) return total(0);
  const byVotes = [...options].sort((one, other) => other.votes - one.votes);
  const say = (option) => `${option.label} ${percent(option.percent)}, ${votes(option.votes)}`;
  const first = byVotes.slice(0, 3).map(say);
  return `${total(all)}. ${first.join("; ")}${options.length > 3 ? "; and others" : ""}.`;
}
