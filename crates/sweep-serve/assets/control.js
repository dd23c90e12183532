// Requests to the controller, where `sweep serve` allows them: what `sweep stop`, `retry`, `pause` and the like do.
import { $, el, padded } from "./common.js";

export const isAllowed = document.body.dataset.control !== undefined;

let timer = null;
const tell = (text, failed = false) => {
  // An open dialog covers the page, and would cover the answer.
  (document.querySelector("dialog[open] > div") ?? document.body).append($("answer"));
  [$("answer").textContent, $("answer").className, $("answer").hidden] = [text, failed ? "bad" : "", false];
  clearTimeout(timer);
  timer = setTimeout(() => { $("answer").hidden = true; }, 8000);
};

export const ask = async (base, request) => {
  try {
    const response = await fetch(`${base}ask`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request) });
    if (!response.ok) throw new Error(await response.text());
    tell((await response.json()).join(" "));
  } catch (error) {
    tell(error.message, true);
  }
};

// The buttons of a trial. What discards work is confirmed.
export const actions = (base, { trial, kind, status, tag }) => {
  if (!isAllowed) return null;
  const button = (text, request, question) => el("button", { on: { click: () => { if (!question || confirm(question)) ask(base, request); } } }, text);
  const trials = [trial], name = `trial ${padded(trial)}`;
  const text = el("input", { type: "text", value: tag ?? "", placeholder: "tag", "aria-label": "Tag", maxlength: 200 });
  return el("div", { class: "tools actions" },
    ...(kind === "open" ? [button("Stop", { do: "stop", trials }, `End ${name}? It is ranked by its best epoch.`), button("Skip", { do: "skip", trials }, `End ${name}? It will not be ranked.`),
      ...(status === "waiting" ? [button("Run first", { do: "first", trials })] : [])] : [button("Retry", { do: "retry", trials, from_scratch: false })]),
    text, el("button", { on: { click: () => ask(base, { do: "tag", trial, text: text.value }) } }, "Set tag"));
};

// The buttons of the sweep.
export const steer = (base, box) => {
  const slots = el("input", { type: "number", min: 1, placeholder: "all", "aria-label": "Number of slots to use" });
  const button = (text, request) => el("button", { on: { click: () => ask(base, request()) } }, text);
  box.replaceChildren(button("Pause", () => ({ do: "pause" })), button("Continue", () => ({ do: "continue" })),
    el("label", {}, "Slots ", slots), button("Use", () => ({ do: "slots", most: slots.value ? Number(slots.value) : null })));
};
