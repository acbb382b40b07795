"use strict";
// Pages work without this script. It shows times in the person's time zone, and buttons
// that copy.
const local = new Intl.DateTimeFormat(document.documentElement.lang, {dateStyle: "medium", timeStyle: "short"});
for (const time of document.querySelectorAll("time")) {
  const text = local.format(new Date(time.dateTime));
  if (time.title) time.title = text; else time.textContent = text;
}
const status = document.getElementById("status");
for (const button of document.querySelectorAll("button[data-copy]")) {
  const label = button.textContent;
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = status.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = label; status.textContent = ""; }, 3000);
  });
}
