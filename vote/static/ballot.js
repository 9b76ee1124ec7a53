// Gives each ballot that is sent a higher number than all before it from this browser, whichever tab they came from:
// of two votes that are under way at once, the one that was sent last counts.

const KEY = "tallyho.number";
const form = document.querySelector("form.ballot");
const field = form.elements.namedItem("number");
let last = 0; // where a browser keeps nothing for us, at least this page counts

form.addEventListener("submit", () => {
  const number = Math.max(Number(field.value), Math.max(last, stored()) + 1);
  field.value = String(number);
  last = number;
  try {
    localStorage.setItem(KEY, field.value);
  } catch {
    // not allowed to: see `last`
  }
});

function stored() {
  try {
    return Number(localStorage.getItem(KEY)) || 0;
  } catch {
    return 0;
  }
}
