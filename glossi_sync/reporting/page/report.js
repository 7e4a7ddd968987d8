"use strict";
const one = (selector, where = document) => where.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];
const AT_ONCE = 60;
const products = all(".product").map((card) => ({
  card, status: card.dataset.status, text: (one(".heading", card).textContent + one(".models", card).textContent).toLowerCase(),
}));
const search = one(".search"), more = one(".more"), boxes = all(".counts input");
let most = AT_ONCE;

function show() {
  const words = (search ? search.value : "").toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  let found = 0;
  for (const { card, status, text } of products) {
    const fits = (!wanted.size || wanted.has(status)) && words.every((word) => text.includes(word));
    card.hidden = !fits || ++found > most;
  }
  more.hidden = found <= most;
  one("button", more).textContent = `Show ${Math.min(AT_ONCE, found - most)} more of ${found}`;
  one(".none").hidden = found > 0 || !products.length;
}

document.documentElement.classList.add("js");
if (search) search.hidden = false;
for (const input of [search, ...boxes]) input?.addEventListener("input", () => { most = AT_ONCE; show(); });
one("button", more).addEventListener("click", () => { most += AT_ONCE; show(); });
show();
// An address in the link, such as report.html#project.lamp, is shown wherever it stands.
const linked = products.find(({ card }) => card.id === decodeURIComponent(location.hash.slice(1)));
if (linked) { linked.card.hidden = false; linked.card.scrollIntoView(); }

const stage = one("dialog");
document.addEventListener("click", (event) => {
  const frame = event.target.closest("[data-zoom]");
  if (!frame || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const picture = one("img", frame);
  const large = one("img", stage);
  // The file itself, where it still lies beside the page.
  large.onerror = () => { large.onerror = null; large.src = picture.src; };
  Object.assign(large, { src: frame.href || picture.src, alt: picture.alt });
  one("p", stage).textContent = picture.alt;
  stage.showModal();
});
stage.addEventListener("click", () => stage.close());
