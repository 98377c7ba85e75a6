// The book without Python: ranges swap pictures made beforehand, and answers wait for a prediction.
// What a reader types stays in this browser's own storage.
"use strict";

// -- predictions -----------------------------------------------------------------------------------

const kept = (key) => {
  try { return localStorage.getItem("ddl_lab/" + key); } catch (error) { return null; } // storage may be off
};
const keep = (key, value) => {
  try { localStorage.setItem("ddl_lab/" + key, value); } catch (error) { /* then for this page alone */ }
};

// From the cell that shows an answer to the next heading: its siblings within the section.
function behind(marker) {
  const found = [];
  let element = marker.closest(".cell");
  for (; element && element.tagName !== "SECTION"; element = element.nextElementSibling) found.push(element);
  return found;
}

function hide(marker, form) {
  const parts = behind(marker);
  if (parts.some((part) => part.contains(form))) return;
  const note = document.createElement("p");
  note.className = "waiting";
  note.textContent = "What follows waits for your prediction: ";
  const link = document.createElement("a");
  link.href = "#" + form.querySelector("input").id;
  link.textContent = form.querySelector("label").textContent;
  note.append(link);
  parts[0].before(note);
  parts.forEach((part) => part.classList.add("behind"));
  return () => { note.remove(); parts.forEach((part) => part.classList.remove("behind")); };
}

function ask(form) {
  const key = form.dataset.key;
  const input = form.querySelector("input");
  const told = form.querySelector("[role=status]");
  const markers = document.querySelectorAll(`.shows[data-key="${CSS.escape(key)}"]`);
  const openers = [];
  const open = (words) => { openers.splice(0).forEach((show) => show()); told.textContent = words; };
  form.querySelector(".answer").hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!input.value.trim()) { told.textContent = "a number first, or \u201cshow me anyway\u201d"; return; }
    keep(key, input.value.trim());
    open("written down; the measured one stands below");
  });
  form.querySelector("button[type=button]").addEventListener("click", () => open("shown without a prediction"));
  const before = kept(key);
  if (before !== null) { input.value = before; told.textContent = "what you wrote earlier"; return; }
  markers.forEach((marker) => { const show = hide(marker, form); if (show) openers.push(show); });
}

// -- explorers -------------------------------------------------------------------------------------

function explore(box) {
  const told = JSON.parse(box.querySelector("script").textContent);
  const picture = box.querySelector("img");
  const words = box.querySelector(".words");
  const ranges = [...box.querySelectorAll("input[type=range]")];
  const base = new URL(picture.getAttribute("src"), document.baseURI).href.replace(/_static\/labs\/.*$/, "");
  const show = () => {
    ranges.forEach((range, number) => {
      const text = told.controls[number].values[range.value];
      range.setAttribute("aria-valuetext", text);
      range.nextElementSibling.textContent = text;
    });
    const one = told.pictures[ranges.map((range) => range.value).join(",")];
    if (one.src) {
      picture.src = base + one.src;
      picture.alt = one.alt;
      picture.width = one.size.width;
      picture.height = one.size.height;
    }
    const text = document.createElement("p");
    text.textContent = one.words;
    words.replaceChildren(text);
    if (one.code) {
      const code = document.createElement("pre");
      code.textContent = one.code;
      words.append(code);
    }
  };
  ranges.forEach((range) => range.addEventListener("input", show));
  box.querySelector(".controls").hidden = false;
  // once the reader reaches for a range, its pictures come before they are asked for
  const fetched = new Set();
  box.addEventListener("pointerenter", () => {
    Object.values(told.pictures).forEach((one) => {
      if (one.src && !fetched.has(one.src)) { fetched.add(one.src); new Image().src = base + one.src; }
    });
  }, { once: true });
}

document.querySelectorAll("form.predict").forEach(ask);
document.querySelectorAll(".explorer").forEach(explore);
// the theme gives its search button no name of its own
document.querySelectorAll("button.search-button, button.search-button__button").forEach((button) => {
  if (!button.getAttribute("aria-label")) button.setAttribute("aria-label", "Search");
});
// a formula that is wider than the page scrolls: by keyboard as well
window.addEventListener("load", () => {
  if (window.MathJax?.startup) MathJax.startup.promise.then(() => {
    document.querySelectorAll("mjx-container, .cell_output .text_html").forEach((box) => {
      if (box.getAttribute("display") || box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    });
  });
});
