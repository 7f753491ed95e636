"use strict";
(() => {
  const form = document.getElementById("filter");
  const counted = document.getElementById("shown");
  const runs = [...document.querySelectorAll("[data-verdict]")];
  const groups = [...document.querySelectorAll("[data-group]")];
  if (form) {
    const apply = () => {
      const wanted = Object.fromEntries(new FormData(form));
      const text = wanted.text.trim().toLowerCase();
      let shown = 0;
      for (const run of runs) {
        const fits = ["verdict", "policy", "section", "status"].every(
          (key) => !wanted[key] || run.dataset[key] === wanted[key]);
        run.hidden = !fits || !run.dataset.text.toLowerCase().includes(text);
        shown += run.tagName === "DETAILS" && !run.hidden;
      }
      for (const group of groups) {
        group.hidden = !group.querySelector("[data-verdict]:not([hidden])");
      }
      counted.textContent = `${shown} shown`;
    };
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("reset", () => setTimeout(apply));
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  const reveal = () => {
    const details = document.getElementById(location.hash.slice(1));
    if (details && details.tagName === "DETAILS") {
      details.hidden = false;
      details.open = true;
      details.scrollIntoView();
    }
  };
  addEventListener("hashchange", reveal);
  reveal();
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details:not([hidden])")) details.open = true;
  });
})();
