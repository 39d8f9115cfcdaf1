/* The portal's one script: Copy, focus on an alert, polls that leave the reader alone. */
(() => {
  "use strict";

  const RESET_MS = 2000;

  function selectText(node) {
    const range = document.createRange();
    range.selectNodeContents(node);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  }

  async function copy(button) {
    const block = button.parentElement.querySelector("code");
    const label = button.querySelector("[data-pk-copy-label]");
    label.dataset.copy ??= label.textContent;
    try {
      await navigator.clipboard.writeText(block.textContent);
      label.textContent = label.dataset.copied;
    } catch {
      // No clipboard rights, or plain HTTP: the reader copies, we select.
      selectText(block);
      label.textContent = label.dataset.press;
    }
    window.setTimeout(() => { label.textContent = label.dataset.copy; }, RESET_MS);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-pk-copy]");
    if (button) copy(button);
  });

  // A failed form says so above its fields: go there, not to the first field.
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelector("[role=alert][tabindex='-1']")?.focus();
  });

  // Tabs that do not fit scroll: the one that is open is in sight.
  document.addEventListener("DOMContentLoaded", () => {
    for (const tabs of document.querySelectorAll(".pk-tabs")) {
      const open = tabs.querySelector("[aria-current]");
      if (open) tabs.scrollLeft = open.offsetLeft + open.offsetWidth - tabs.offsetLeft - tabs.clientWidth;
    }
  });

  // A poll must not pull the page from under a reader: it waits while they are in that part
  // by keyboard or have text selected there, and while the tab is hidden.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const polled = event.target.closest("[data-pk-poll]");
    if (!polled || polled !== event.target) return;
    const selection = window.getSelection();
    const isReading = polled.contains(document.activeElement)
      || (!selection.isCollapsed && polled.contains(selection.anchorNode));
    if (isReading || document.hidden) event.preventDefault();
  });

  // A poll without an answer: say so, or an old "5 s ago" would pass for the truth.
  function setSilent(event, isSilent) {
    const notice = document.querySelector("[data-pk-silent]");
    if (notice && event.target.closest("[data-pk-poll]")) notice.hidden = !isSilent;
  }
  for (const name of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => setSilent(event, true));
  }
  document.addEventListener("htmx:afterSwap", (event) => setSilent(event, false));

  // Back at the tab: show at once what the poll has left out.
  document.addEventListener("visibilitychange", () => {
    const polled = document.querySelector("[data-pk-poll]");
    if (polled && !document.hidden) window.htmx.trigger(polled, "pk:refresh");
  });
})();
