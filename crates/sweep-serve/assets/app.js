// The page of one sweep. The server says when something changed; then only what changed is fetched.
import { $, count, el, get, padded, prose, said, significant, turn } from "./common.js";
import { Chart } from "./chart.js";
import { isAllowed, steer } from "./control.js";
import { Parallel } from "./parallel.js";
import { Table } from "./table.js";
import { show } from "./trial.js";

const BASE = `/sweep/${document.body.dataset.sweep}/`, PAUSE = 500, MANY = 200;
const HIGHLIGHTS = ["blue", "vermilion", "green", "purple", "orange"];
const rows = [], curves = new Map();
let overview = null, metric = null, band = null;

// The order of a row's values is that of `Row` on the server.
const row = ([id, status, kind, value, best, epochs, usual, seconds, slot, attempts, findings, error, onset, settings, tag]) =>
  ({ id, status, kind, value, best, epochs, usual, seconds, slot, attempts, findings, error, onset, settings, tag });

const open = id => { location.hash = `trial-${id}`; };
const table = new Table({ open, changed: () => fetchCurves() });
const parallel = new Parallel($("coordinates"), $("lines"), chosen => { table.chosen = chosen; table.show(); fetchCurves(); });
const chart = new Chart($("curves").querySelector(".chart"), {
  pick: curve => open(curve.id),
  zoomed: is => { $("reset").hidden = !is; },
  describe: (curve, at) => {
    const one = rows[curve.id - 1], settings = overview.names.map((name, index) => one.settings[index] === null ? null : `${name} ${typeof one.settings[index] === "number" ? significant(one.settings[index]) : one.settings[index]}`);
    return [`Trial ${padded(curve.id)}${one.rank ? `, rank ${one.rank}` : ""} (${one.status})`, `epoch ${curve.xs[at]}: ${said(curve.ys[at], metric)}`, ...settings.filter(Boolean).slice(0, 8)];
  },
});

// Trials that ended well are ranked by their best value. Equal values share a rank.
const rank = () => {
  for (const one of rows) one.rank = undefined;
  const way = overview.metric.minimize ? 1 : -1;
  const ranked = rows.filter(one => one.kind === "well" && one.value !== null).sort((a, b) => way * (a.value - b.value) || a.id - b.id);
  ranked.forEach((one, at) => { one.rank = at && ranked[at - 1].value === one.value ? ranked[at - 1].rank : at + 1; });
};

const drawOverview = () => {
  const { state, ended, total, counts, left, hourly, best, problem, insight } = overview;
  $("pill").textContent = state;
  $("pill").className = `pill ${state === "complete" && !best ? "failed" : state}`;
  document.title = `${total ? `${Math.floor(100 * ended / total)}% ` : ""}${overview.name}`;
  [$("problem").hidden, $("problem").textContent] = [!problem, problem ?? ""];
  $("ended").textContent = total === null ? `${count(ended)} ended` : `${count(ended)} of ${count(total)}`;
  $("progress").value = total ? ended / total : 0;
  $("counts").textContent = counts;
  $("failure").textContent = overview.failure ?? "";
  $("left").textContent = state === "complete" ? "done" : left ? `${state === "running" ? "" : "would take "}about ${left}` : "not known yet";
  $("hourly").textContent = hourly === null ? "" : `${hourly < 1000 ? significant(hourly, 3) : count(Number(hourly.toPrecision(3)))} trials per hour`;
  $("best").replaceChildren(...(best ? [el("a", { href: `#trial-${best.trial}` }, `trial ${padded(best.trial)}`), `: ${overview.metric.words} ${best.value} at epoch ${best.epoch}`] : [state === "complete" ? "no trial has a result" : "no trial has ended with a result yet"]));
  $("settings").textContent = [best?.settings, overview.target].filter(Boolean).join(". ");
  $("ties").replaceChildren(...prose(insight?.ties ?? ""));
  drawSlots();
  drawInsight(insight);
};

const drawSlots = () => {
  const head = el("tr", {}, ...["slot", "trains", "load", "memory", ""].map(name => el("th", {}, name)));
  const slots = overview.slots.map(slot => el("tr", {}, el("td", {}, slot.name),
    el("td", {}, slot.trial ? el("a", { href: `#trial-${slot.trial}` }, `trial ${padded(slot.trial)}`) : overview.state === "running" ? "idle" : "–"),
    el("td", { class: "n" }, slot.load === null ? "" : `${slot.load}%`), el("td", { class: "n" }, slot.memory === null ? "" : `${count(slot.memory)} MiB`), el("td", { class: "text" }, slot.held ?? "")));
  $("slot-table").tBodies[0].replaceChildren(head, ...slots);
};

// The confusion matrix of the best trial, and its worst validation images.
const images = ({ matrix, worst }) => {
  const cell = (number, all, right) => el("td", { class: `n ${right ? "right" : "wrong"} share${Math.ceil(10 * number / Math.max(all, 1))}` }, number ? count(number) : "");
  const line = (row, at) => el("tr", {}, el("th", { scope: "row" }, matrix.classes[at]), ...row.map((number, column) => cell(number, row.reduce((a, b) => a + b), at === column)));
  const table = matrix && el("table", { class: "confusion" }, el("caption", {}, matrix.caption),
    el("thead", {}, el("tr", {}, el("th"), ...matrix.classes.map(name => el("th", { class: "n", scope: "col" }, name)))), el("tbody", {}, ...matrix.rows.map(line)));
  const picture = worst && el("img", { src: `${BASE}worst.png?${overview.version}`, alt: "The validation images that the network is most wrong about", class: "worst", loading: "lazy" });
  return [table, picture].filter(Boolean).map(one => el("div", { class: "scroll" }, one));
};

let toldBefore = "";
const drawInsight = insight => {
  const now = JSON.stringify(insight);
  if (!insight || now === toldBefore) return;
  toldBefore = now;
  const list = (kind, title, items) => items.length ? [el("h3", {}, title), el(kind, {}, ...items.map(item => el("li", {}, ...prose(item))))] : [];
  const filter = name => { $("filter").value = name; $("filter").dispatchEvent(new Event("input")); $("trials").scrollIntoView(); };
  const tally = insight.tally.map(one => el("tr", {},
    el("td", {}, el("button", { class: "link", title: "Show these trials", on: { click: () => filter(one.name) } }, one.name)),
    el("td", { class: "n" }, `${count(one.trials)} of ${count(insight.judged)}`), el("td", { class: "n" }, one.grave ? `${count(one.grave)} clear` : ""),
    el("td", { class: "text" }, one.onset ? `${one.meaning}; median onset: epoch ${one.onset}` : one.meaning)));
  $("told").replaceChildren(el("p", { class: "headline" }, insight.headline), ...insight.answer.map(([what, text]) => el("p", {}, el("b", {}, `${what}: `), ...prose(text))),
    ...(tally.length ? [el("div", { class: "scroll" }, el("table", {}, el("tbody", {}, ...tally)))] : []), ...list("ol", "Next steps", insight.steps), ...list("ul", "Checks before training", insight.before));
  // The number makes the browser fetch a chart again.
  const image = name => el("a", { href: `${BASE}chart/${name}.svg?${overview.version}`, target: "_blank" }, el("img", { src: `${BASE}chart/${name}.svg?${overview.version}`, alt: `${name} chart`, loading: "lazy" }));
  $("charts").replaceChildren(...(insight.drivers.length ? [el("ul", {}, ...insight.drivers.map(line => el("li", {}, ...prose(line))))] : []),
    ...insight.sections.flatMap(one => [el("h3", {}, one.heading), ...one.lines.map(line => el("p", {}, ...prose(line))), ...(one.images ? images(one.images) : []), ...one.charts.map(name => el("div", { class: "scroll" }, image(name)))]));
};

// The trials to draw: those that the filter leaves, or else those that the server chose; each with its number of epochs.
const wanted = () => {
  if (!table.isFiltered()) return overview.shown;
  const matching = table.matching().filter(one => one.epochs > 0);
  return matching.sort((a, b) => (a.rank ?? Infinity) - (b.rank ?? Infinity)).slice(0, MANY).map(one => [one.id, one.epochs]);
};

let fetching = null;
const fetchCurves = async () => {
  if (!overview || fetching) { fetching = fetching && "again"; return; }
  fetching = "now";
  const of = metric, all = wanted(), missing = all.filter(([id, epochs]) => curves.get(id)?.epochs !== epochs);
  // What is no longer drawn is not kept.
  const drawn = new Set(all.map(([id]) => id));
  for (const id of curves.keys()) if (!drawn.has(id)) curves.delete(id);
  try {
    const found = await get(`${BASE}curves?metric=${encodeURIComponent(of)}&trials=${missing.map(([id]) => id).join(",")}`);
    if (of === metric) {
      band = found.band;
      for (const [id, epochs] of missing) curves.set(id, { epochs, points: found.curves[id] ?? [[], []] });
    }
  } catch { /* The next change tries again. */ }
  const again = fetching === "again" || of !== metric;
  fetching = null;
  drawCurves();
  if (again) fetchCurves();
};

const drawCurves = () => {
  const chosen = wanted().map(([id]) => id).filter(id => curves.get(id)?.points[0].length);
  const order = id => rows[id - 1]?.rank ?? Infinity;
  chosen.sort((a, b) => order(a) - order(b) || a - b);
  // The five best trials have the same colors in all charts, whatever a filter leaves.
  const at = id => overview.leaders.indexOf(id), best = chosen.filter(id => at(id) >= 0);
  const drawn = chosen.map(id => {
    const [xs, ys] = curves.get(id).points;
    return at(id) >= 0 ? { id, xs, ys, ink: HIGHLIGHTS[at(id)], width: 2 } : rows[id - 1].kind === "open" ? { id, xs, ys, ink: "text", width: 1.2, dash: [5, 3] } : { id, xs, ys, ink: "faint", width: 0.9, faint: true };
  });
  const filtered = table.isFiltered();
  chart.set({ curves: drawn, band: filtered ? null : band, metric });
  const all = rows.filter(one => one.epochs > 0).length;
  const which = all === 0 ? "" : drawn.length < all ? `${count(drawn.length)} of ${count(all)} trials are drawn: ${filtered ? "the best of those that match the filter" : "those that have not ended, and the best"}.` : `${count(all)} ${all === 1 ? "trial" : "trials"}.`;
  const open = drawn.some(curve => curve.dash) ? "Dashed: not ended yet. " : "";
  const spread = band && !filtered ? ` The bands contain 90% and 50% of all ${count(band.trials)} trials at each epoch, and the line in them is the median.` : "";
  const cut = chart.cut !== null && chart.cut !== undefined ? ` The axis is cut: values reach ${said(chart.cut, metric)}.` : "";
  $("drawn").replaceChildren(`${which} ${open}`, ...best.flatMap(id => [el("a", { href: `#trial-${id}`, class: HIGHLIGHTS[at(id)] }, padded(id)), " "]), best.length > 1 ? "are the best." : best.length ? "is among the best." : "", spread, cut);
};

const drawMetrics = () => {
  const select = $("metric"), names = overview.metrics;
  if ([...select.options].map(option => option.value).join("\n") !== names.join("\n"))
    select.replaceChildren(...names.map(name => el("option", { value: name, selected: name === metric }, name.replaceAll("_", " "))));
};

// Fetches what changed. Only one request runs at a time, and at most one in every half second.
let busy = false, again = false, pause = PAUSE;
const update = async () => {
  if (busy) { again = true; return; }
  busy = true;
  try {
    const found = await get(`${BASE}update?since=${overview?.version ?? 0}`), began = performance.now();
    overview = found.overview;
    metric ??= overview.metric.name;
    for (const one of found.rows.map(row)) rows[one.id - 1] = one;
    rows.length = Math.min(rows.length, overview.started);
    rank();
    drawOverview();
    drawMetrics();
    table.set(rows, overview);
    parallel.set(rows, overview);
    performance.measure("update", { start: began });
    await fetchCurves();
    if ($("trial").open && found.rows.some(([id]) => String(id) === $("trial").dataset.trial)) await show(BASE, $("trial").dataset.trial, trialOptions());
    $("lost").hidden = true;
    pause = PAUSE;
    document.body.dataset.version = overview.version;
  } catch (error) {
    $("lost").hidden = false;
    [again, pause] = [true, 10 * PAUSE];
    console.warn(error);
  }
  setTimeout(() => { busy = false; if (again) { again = false; update(); } }, pause);
};

// A hidden page waits for nothing: browsers open only six connections to a server, over all pages.
let events = null;
const listen = () => {
  events?.close();
  events = document.hidden ? null : new EventSource(`${BASE}events`);
  if (!events) return;
  events.onmessage = update;
  events.onerror = () => { $("lost").hidden = false; };
  events.onopen = () => { $("lost").hidden = true; };
};
document.addEventListener("visibilitychange", listen);
listen();

if (isAllowed) steer(BASE, $("steer"));

const trialOptions = () => ({ logX: $("log-x").checked, logY: $("log-y").checked });
const visit = () => {
  const [, id] = /^#trial-0*(\d+)$/.exec(location.hash) ?? [];
  if (id) show(BASE, id, trialOptions());
  else if ($("trial").open) $("trial").close();
};
addEventListener("hashchange", visit);
visit();
$("trial").addEventListener("close", () => { if (location.hash.startsWith("#trial-")) history.replaceState(null, "", location.pathname); });
for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("click", ({ target }) => { if (target === dialog) dialog.close(); });

$("metric").addEventListener("change", ({ target }) => { metric = target.value; band = null; curves.clear(); chart.zoom(null); fetchCurves(); });
$("log-y").addEventListener("change", ({ target }) => chart.option("logY", target.checked));
$("log-x").addEventListener("change", ({ target }) => chart.option("logX", target.checked));
$("smooth").addEventListener("input", ({ target }) => chart.option("smooth", Number(target.value)));
$("reset").addEventListener("click", () => chart.zoom(null));
const keys = () => $("keys").showModal();
$("help").addEventListener("click", keys);
$("keys").querySelector(".close").addEventListener("click", () => $("keys").close());

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && event.target === $("filter")) return $("filter").blur();
  if (/^(input|select|textarea)$/i.test(event.target.tagName) || document.querySelector("dialog[open]")) return;
  const sections = ["curves", "trials", "parallel", "findings", "effects", "slots"];
  const does = { "/": () => { $("filter").focus(); }, j: () => table.step(1), k: () => table.step(-1), l: () => $("log-y").click(), d: turn, "?": keys }[event.key];
  if (does) { event.preventDefault(); does(); } else if (/^[1-6]$/.test(event.key)) $(sections[event.key - 1]).scrollIntoView();
});
