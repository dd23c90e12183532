// The page of one trial: its curves, findings, parameters, log and files.
import { $, count, el, get, padded, prose } from "./common.js";
import { drawPanels, marks } from "./panels.js";
import { actions } from "./control.js";

const pairs = list => el("dl", {}, ...list.filter(([, value]) => value !== null && value !== undefined && value !== "")
  .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value)))));
const list = (kind, items) => el(kind, {}, ...items.map(item => el("li", {}, ...prose(item))));
const size = bytes => bytes < 1024 ? `${bytes} B` : bytes < 1 << 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
const section = (title, ...nodes) => [el("h3", {}, title), ...nodes];

const draw = (base, trial, log) => {
  const head = el("div", { class: "head" }, el("h2", {}, `Trial ${padded(trial.trial)}`),
    el("span", { class: `pill ${trial.error ? "failed" : trial.status}` }, trial.status), el("button", { class: "close", on: { click: () => $("trial").close() } }, "Close"));
  const charts = el("div", { class: "panels" });
  const body = [head, actions(base, trial),
    trial.error && el("p", { class: "bad" }, trial.error),
    trial.fault && !trial.error && el("p", { class: "soft" }, `Its last attempt was lost: ${trial.fault}`),
    pairs([[trial.metric, trial.value], ["best epoch", trial.best], ...trial.at_best, ["epochs", trial.epochs], ["overfits after epoch", trial.onset],
      ["time", trial.seconds], ["slot", trial.slot], ["attempts", trial.attempts], ["weights", trial.weights], ["tag", trial.tag], ["repeat", trial.repeat > 1 ? trial.repeat : null]]),
    charts,
    trial.not_drawn > 0 && el("p", { class: "soft" }, `${count(trial.not_drawn)} more metrics are in epochs.csv.`),
    ...(trial.findings.length ? section("Findings", ...trial.findings.map(finding => el("details", {}, el("summary", {}, el("b", {}, finding.label), ` – `, ...prose(finding.headline)), pairs(finding.evidence))), trial.advice.length ? list("ol", trial.advice) : null) : []),
    ...(trial.warnings.length ? section("Checks before training", list("ul", trial.warnings)) : []),
    ...section("Parameters", trial.settings.length ? pairs(trial.settings) : el("p", { class: "soft" }, "No parameter varies.")),
    ...(trial.log === null ? [] : section("Log", trial.log_is_cut && el("p", { class: "soft" }, "Only the end is shown. The whole log is trainer.log in the trial's folder."), log)),
    ...section("Files", el("p", {}, el("code", {}, trial.folder)), list("ul", trial.files.map(([name, bytes]) => `${name}, ${size(bytes)}`)))];
  if (trial.log !== null) log.textContent = trial.log || "(empty)";
  return [body.filter(node => node && typeof node === "object"), charts];
};

// Shows a trial, or refreshes it if it is shown already: what was opened stays open.
export const show = async (base, id, options) => {
  let trial;
  try { trial = await get(`${base}trial/${id}`); } catch (error) { return $("trial-body").replaceChildren(el("p", { class: "bad" }, error.message)); }
  const dialog = $("trial"), open = new Set([...dialog.querySelectorAll("details[open] b")].map(node => node.textContent)), top = dialog.scrollTop;
  const log = el("pre", { tabindex: "0", class: "log" }), again = dialog.open && dialog.dataset.trial === String(id);
  const [nodes, charts] = draw(base, trial, log);
  $("trial-body").replaceChildren(...nodes);
  dialog.dataset.trial = id;
  if (!dialog.open) dialog.showModal();
  drawPanels(charts, trial.curves, marks(trial.best, trial.onset), options);
  if (!again) { log.scrollTop = log.scrollHeight; dialog.scrollTop = 0; return; }
  for (const node of dialog.querySelectorAll("details")) node.open = open.has(node.querySelector("b").textContent);
  dialog.scrollTop = top;
  log.scrollTop = log.scrollHeight;
};
