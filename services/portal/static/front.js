// Brings the status up to date without a reload; open details stay open. Rests while nobody looks.
"use strict";
const status = document.getElementById("status");
async function refresh() {
  if (!document.hidden) {
    try {
      const answer = await fetch(status.dataset.source, { cache: "no-store" });
      if (answer.ok) {
        const open = [...status.querySelectorAll("details[open]")].map((one) => one.closest("section").id);
        status.innerHTML = await answer.text();
        for (const id of open) document.querySelector(`#${id} details`)?.setAttribute("open", "");
      }
    } catch {
      // the portal itself is away: the next round tells
    }
  }
  setTimeout(refresh, 3000);
}
setTimeout(refresh, 3000);
