/* Policies and attestations: find a rule in the form, tick all, and go to what was refused. */
(() => {
  "use strict";

  const find = (input) => {
    const boxes = [...document.querySelectorAll("[data-pk-rule]")];
    const nothing = document.querySelector("[data-pk-nothing]");
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const box of boxes) {
        const text = box.dataset.pkRule.toLowerCase();
        box.hidden = !words.every((word) => text.includes(word));
      }
      nothing.hidden = boxes.some((box) => !box.hidden);
    });
  };

  const tickAll = (box) => {
    const ticks = box.closest("table").querySelectorAll("tbody input[type=checkbox]");
    box.addEventListener("change", () => ticks.forEach((one) => { one.checked = box.checked; }));
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-pk-find]").forEach(find);
    document.querySelectorAll("[data-pk-all]").forEach(tickAll);
    document.querySelector("[data-pk-focus]")?.focus();
  });
})();
