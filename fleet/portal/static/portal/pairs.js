/* Pairs and findings: chips of the rule table, Check now, tenant names as one types. */
(() => {
  "use strict";

  const TYPING_MS = 250;

  // --- Every rule: chips narrow the table, a button unfolds the calm rows

  function isWanted(row, only) {
    return !only || row.dataset.outcome === only || row.dataset.kind === only;
  }

  function unfold(matrix, isOpen) {
    const button = matrix.querySelector("[data-pk-unfold]");
    const rest = matrix.querySelector(".pk-folded");
    if (!button) return;
    rest.hidden = !isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
    matrix.querySelector(".pk-matrix").classList.toggle("pk-all", isOpen);
  }

  function narrow(matrix, only) {
    for (const chip of matrix.querySelectorAll("[data-pk-only]")) {
      chip.setAttribute("aria-pressed", String(chip.dataset.pkOnly === only));
    }
    unfold(matrix, only !== "");
    const folder = matrix.querySelector(".pk-folder");
    if (folder) folder.hidden = only !== "";
    let shown = 0;
    for (const row of matrix.querySelectorAll("tr[data-outcome]")) {
      row.hidden = !isWanted(row, only);
      shown += row.hidden ? 0 : 1;
    }
    matrix.querySelector(".pk-none").hidden = shown > 0;
    matrix.dataset.only = only;
  }

  document.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-pk-only]");
    if (chip) narrow(chip.closest("[data-pk-matrix]"), chip.dataset.pkOnly);
    const button = event.target.closest("[data-pk-unfold]");
    if (button) {
      unfold(button.closest("[data-pk-matrix]"), button.getAttribute("aria-expanded") !== "true");
    }
    const menu = document.querySelector("details.pk-more[open]");
    if (menu && !menu.contains(event.target)) menu.open = false;
  });

  document.addEventListener("keydown", (event) => {
    const menu = document.querySelector("details.pk-more[open]");
    if (event.key === "Escape" && menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  // A reading replaces the table: what the reader had chosen, and where they were, stays.
  let kept = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!event.target.matches("#pk-verdict, #pk-finding-body")) return;
    const active = document.activeElement;
    const forms = [...document.querySelectorAll("[data-pk-check]")];
    kept = {
      only: document.querySelector("[data-pk-matrix]")?.dataset.only ?? "",
      check: forms.findIndex((form) => form.contains(active)),
      scroll: window.scrollY,
    };
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (!event.target.matches("#pk-verdict, #pk-finding-body") || !kept) return;
    const matrix = document.querySelector("[data-pk-matrix]");
    if (matrix && kept.only) narrow(matrix, kept.only);
    const form = document.querySelectorAll("[data-pk-check]")[kept.check];
    if (form && !form.contains(document.activeElement)) {
      form.querySelector("button").focus({ preventScroll: true });
    }
    window.scrollTo({ top: kept.scroll, behavior: "instant" });
    kept = null;
  });

  // A link to a folded rule opens the fold first.
  function openTarget() {
    const row = document.getElementById(decodeURIComponent(window.location.hash.slice(1)));
    const matrix = row?.closest("[data-pk-matrix]");
    if (!matrix || !row.closest(".pk-folded")) return;
    unfold(matrix, true);
    row.scrollIntoView({ block: "center" });
  }
  window.addEventListener("hashchange", openTarget);
  document.addEventListener("DOMContentLoaded", openTarget);

  // --- Check now: every such button is busy until the progress line says it is over

  function setBusy(isBusy) {
    for (const form of document.querySelectorAll("[data-pk-check]")) {
      const button = form.querySelector("button");
      button.setAttribute("aria-disabled", String(isBusy));
      button.classList.toggle("pk-busy", isBusy);
    }
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = event.target.closest("[data-pk-check]");
    if (!form) return;
    if (form.querySelector("button").getAttribute("aria-disabled") === "true") {
      event.preventDefault();
      return;
    }
    setBusy(true);
  });
  function followProgress() {
    const progress = document.querySelector("#pk-progress .pk-progress");
    if (progress) setBusy(!progress.classList.contains("pk-over"));
  }
  document.addEventListener("htmx:afterSettle", followProgress);
  document.addEventListener("DOMContentLoaded", followProgress);
  for (const failure of ["htmx:responseError", "htmx:sendError"]) {
    document.addEventListener(failure, (event) => {
      if (event.target.closest("[data-pk-check], #pk-progress")) setBusy(false);
    });
  }

  // --- Test and save: say that it is under way; a second press would test twice

  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button?.dataset.pkBusy) return;
    if (button.getAttribute("aria-disabled") === "true") {
      event.preventDefault();
      return;
    }
    button.setAttribute("aria-disabled", "true");
    const note = document.querySelector("[data-pk-busynote]");
    if (note) note.textContent = button.dataset.pkBusy;
  });

  // Select2 names its box by what is chosen, so an empty one has no name: add the field's label.
  function nameSelects() {
    for (const box of document.querySelectorAll(".select2-selection[role=combobox]")) {
      const field = box.closest(".select2-container").previousElementSibling;
      const label = document.querySelector(`label[for="${field.id}"]`);
      if (!label) continue;
      for (const part of [box, box.querySelector(".select2-selection__rendered")]) {
        part.removeAttribute("aria-labelledby");
        part.setAttribute("aria-label", label.textContent.trim());
      }
    }
  }
  // jQuery calls in the order of asking: after Django has made the boxes.
  window.addEventListener("load", () => window.django?.jQuery?.(nameSelects));

  // --- Tenant names while typing

  function suggest(input) {
    const list = document.getElementById(input.getAttribute("list"));
    let timer;
    input.addEventListener("input", () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(async () => {
        const url = `${input.dataset.pkAutocomplete}&term=${encodeURIComponent(input.value)}`;
        const answer = await fetch(url, { headers: { Accept: "application/json" } });
        if (!answer.ok) return;
        const { results } = await answer.json();
        list.replaceChildren(...results.map((one) => new Option("", one.text)));
      }, TYPING_MS);
    });
  }
  document.addEventListener("DOMContentLoaded", () => {
    for (const input of document.querySelectorAll("[data-pk-autocomplete]")) suggest(input);
  });
})();
