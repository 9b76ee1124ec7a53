// Our part of Locust's page: a line on top that says how the test goes, the audit, and the chart below Locust's own.
// Locust's page asks its server only while a test runs, and the audit comes afterwards: so this asks by itself.
const ASK_MILLISECONDS = 1000;

const line = document.createElement("div");
line.className = "tallyho-line";
line.setAttribute("role", "status");
document.body.prepend(line);

const audit = document.createElement("table");
audit.className = "tallyho-audit";
const chart = document.createElement("img");
chart.className = "tallyho-chart";
chart.alt = "vote to screen in milliseconds";
document.body.append(audit, chart);
const hint = document.createElement("p");
hint.className = "tallyho-hint";

function tab() {
  return new URLSearchParams(location.search).get("tab");
}

function show() {
  // the form of a new test, on the page itself or in a window
  document.querySelector("form:has(input[name=userCount]):has([name=shapeClass])")?.prepend(hint);
  document.body.dataset.tab = tab();
  audit.hidden = tab() !== "audit";
  chart.hidden = tab() !== "charts";
}

function showRun(run) {
  line.dataset.state = run.ok === null ? run.state : run.ok ? "passed" : "failed";
  line.textContent = run.headline;
  hint.textContent = run.hint;
  audit.replaceChildren(
    ...run.audit.map(([name, value, isWrong]) => {
      const row = document.createElement("tr");
      row.classList.toggle("is-wrong", isWrong);
      row.append(document.createElement("th"), document.createElement("td"));
      row.firstChild.textContent = name;
      row.lastChild.textContent = value;
      return row;
    }),
  );
  if (tab() === "charts") chart.src = `vote-to-screen.svg?${Math.floor(Date.now() / 2000)}`;
}

async function ask() {
  try {
    const answer = await fetch("run.json");
    showRun(await answer.json());
  } catch {
    line.dataset.state = "gone";
    line.textContent = "The load test does not answer: it has ended, or starts again.";
  }
  setTimeout(ask, ASK_MILLISECONDS);
}

setInterval(show, 200); // Locust changes tabs without telling
show();
ask();
