// A picture over the page, to go through with the arrow keys or a swipe; and videos that play while they are in view.
"use strict";
(() => {
  const stage = document.createElement("dialog");
  stage.className = "stage";
  stage.innerHTML =
    '<img alt=""><p></p><button class="close" aria-label="Close">×</button>' +
    '<button class="previous" aria-label="Previous">‹</button><button class="next" aria-label="Next">›</button>';
  document.body.append(stage);
  const [picture, caption] = [stage.querySelector("img"), stage.querySelector("p")];
  let shown = null;

  function show(link) {
    if (!link) return;
    shown = link;
    picture.src = link.href;
    picture.alt = caption.textContent = link.dataset.picture;
    if (!stage.open) stage.showModal();
  }
  function step(by) {
    const all = [...document.querySelectorAll("[data-picture]")];
    show(all[all.indexOf(shown) + by]);
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-picture]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(link);
  });
  stage.addEventListener("click", (event) => {
    if (event.target.className === "previous") step(-1);
    else if (event.target.className === "next") step(1);
    else if (event.target !== caption) stage.close();
  });
  stage.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  let from = null;
  stage.addEventListener("touchstart", (event) => (from = event.touches[0].clientX), { passive: true });
  stage.addEventListener("touchend", (event) => {
    const moved = event.changedTouches[0].clientX - from;
    if (Math.abs(moved) > 50) step(moved < 0 ? 1 : -1);
  });
  stage.addEventListener("close", () => picture.removeAttribute("src"));

  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const inView = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) target.play().catch(() => {});
      else target.pause();
    }
  }, { threshold: 0.4 });
  const watch = (root) => {
    if (!still) root.querySelectorAll("video").forEach((video) => inView.observe(video));
  };
  watch(document);
  document.body.addEventListener("htmx:load", (event) => watch(event.target));
})();
