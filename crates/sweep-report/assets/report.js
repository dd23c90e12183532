// report.html: sorting and filtering of the table, and curves to hover over, enlarge and click. Everything is in the page.
import { $, count, el, padded, said } from "./common.js";
import { Chart } from "./chart.js";
import { drawPanels, marks } from "./panels.js";

const body = $("trials").tBodies[0], headings = [...$("trials").tHead.rows[0].cells], filter = $("filter"), all = $("all");
const rows = [...body.rows], names = headings.map(heading => heading.textContent.replaceAll(" ", "").toLowerCase());
const SHOWN = 200, MANY = 200, HIGHLIGHTS = ["blue", "vermilion", "green", "purple", "orange"];
let limit = SHOWN;

// The value of a cell: a number if it starts with one ("60.4%", "36 of 50"), undefined if it is empty.
const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?(?=%$| of \d+$|$)/i;
const value = (row, column) => {
  const text = row.cells[column].textContent;
  return text === "" || text === "–" ? undefined : number.test(text) ? parseFloat(text) : text;
};

// A click on a heading sorts; a second one turns the order. Rows without a value stay last.
headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
  const up = heading.getAttribute("aria-sort") !== "ascending";
  headings.forEach(other => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
  const keyed = rows.map(row => [value(row, column), row]);
  keyed.sort(([x], [y]) => {
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
    const numbers = typeof x === "number" && typeof y === "number";
    return (up ? 1 : -1) * (numbers ? x - y : String(x).localeCompare(String(y)));
  });
  keyed.forEach(([, row], at) => { rows[at] = row; });
  body.append(...rows);
  show();
}));

// Every word of the filter must hold: name=value, name<value or name>value of a column, or else text of the row.
const condition = word => {
  const [, name, sign, wanted] = /^([^<>=]+)([<>=])(.+)$/.exec(word) ?? [];
  const column = names.findIndex(one => one === name);
  if (column < 0) return row => row.textContent.toLowerCase().includes(word);
  return row => {
    const is = value(row, column);
    if (sign === "=") return String(is).toLowerCase() === wanted || is === Number(wanted);
    return typeof is === "number" && (sign === "<" ? is < Number(wanted) : is > Number(wanted));
  };
};
const show = () => {
  const conditions = filter.value.toLowerCase().split(/\s+/).filter(Boolean).map(condition);
  const found = rows.filter(row => {
    row.hidden = !conditions.every(holds => holds(row));
    return !row.hidden;
  });
  found.slice(limit).forEach(row => { row.hidden = true; });
  const some = Math.min(found.length, limit);
  const match = found.length === rows.length ? `${count(found.length)} trials` : `${count(found.length)} of ${count(rows.length)} trials match`;
  $("count").textContent = some === found.length ? match : `${match}, ${some} shown`;
  all.hidden = some === found.length;
  drawOverview(conditions.length ? found : null);
};
filter.addEventListener("input", () => { limit = SHOWN; show(); });
all.addEventListener("click", () => { limit = Infinity; show(); });

// The curves of a trial: epochs and values by metric. They are thinned, and what was not measured is left out.
const data = JSON.parse($("data").textContent);
const pair = (xs, ys) => [xs.filter((_, at) => ys[at] !== null), ys.filter(value => value !== null)];
const curves = id => {
  const { epochs, named = [], ...usual } = data.trials[id] ?? { epochs: [] };
  const of = Object.entries(usual).map(([name, ys]) => [name, pair(epochs, ys)]);
  return Object.fromEntries([...of, ...named.map(([at, xs, ys]) => [data.names[at], pair(xs, ys)])]);
};
const numbered = row => row.cells[1].textContent;
// The five best trials have the same colors in all charts, whatever a filter leaves and whatever metric is shown.
const bestInks = new Map(rows.filter(row => Number(row.cells[0].textContent)).slice(0, HIGHLIGHTS.length).map((row, at) => [numbered(row), HIGHLIGHTS[at]]));
const ranked = new Map(rows.map(row => [numbered(row), { row, rank: Number(row.cells[0].textContent) || Infinity }]));

// The chart of all trials: those that the filter leaves, the best on top.
const overview = $("overview"), metric = $("metric");
const chart = new Chart(overview.querySelector(".chart"), {
  pick: curve => { location.hash = `trial-${curve.id}`; },
  zoomed: is => { $("reset").hidden = !is; },
  describe: (curve, at) => {
    const { row, rank } = ranked.get(curve.id), settings = headings.slice(2, 2 + data.settings).map((heading, at) => [heading.textContent, row.cells[2 + at].textContent]);
    return [`Trial ${curve.id}${rank < Infinity ? `, rank ${rank}` : ""}`, `epoch ${curve.xs[at]}: ${said(curve.ys[at], metric.value)}`,
      ...settings.filter(([, text]) => text).slice(0, 8).map(pair => pair.join(" "))];
  },
});
let only = null;
const drawOverview = found => {
  only = found;
  const of = metric.value, drawn = (found ?? rows).filter(row => data.trials[numbered(row)]).map(row => ({ id: numbered(row), rank: ranked.get(numbered(row)).rank }));
  drawn.sort((a, b) => a.rank - b.rank);
  const lines = drawn.map(({ id, rank }) => ({ id, rank, points: curves(id)[of] })).filter(({ points }) => points?.[0].length);
  const shown = lines.slice(0, MANY), best = shown.filter(({ id }) => bestInks.has(id));
  chart.set({ metric: of, band: found ? null : data.bands[of] ?? null, curves: shown.map(({ id, points: [xs, ys] }) =>
    bestInks.has(id) ? { id, xs, ys, ink: bestInks.get(id), width: 2 } : { id, xs, ys, ink: "faint", width: 0.9, faint: true }) });
  const which = shown.length < lines.length ? `The best ${shown.length} of ${count(lines.length)} trials are drawn. ` : `${count(lines.length)} trials. `;
  const spread = !found && data.bands[of] ? ` The bands contain 90% and 50% of all ${count(data.bands[of].trials)} trials at each epoch, and the line in them is the median.` : "";
  const cut = chart.cut !== null && chart.cut !== undefined ? ` The axis is cut: values reach ${said(chart.cut, of)}.` : "";
  $("drawn").replaceChildren(which, ...best.flatMap(({ id }) => [el("a", { href: `#trial-${id}`, class: bestInks.get(id) }, padded(Number(id))), " "]), best.length > 1 ? "are the best." : best.length ? "is among the best." : "", spread, cut);
};
metric.replaceChildren(...data.metrics.map(name => el("option", { value: name }, name.replaceAll("_", " "))));
metric.addEventListener("change", () => { chart.zoom(null); drawOverview(only); });
$("log-y").addEventListener("change", ({ target }) => chart.option("logY", target.checked));
$("log-x").addEventListener("change", ({ target }) => chart.option("logX", target.checked));
$("smooth").addEventListener("input", ({ target }) => chart.option("smooth", Number(target.value)));
$("reset").addEventListener("click", () => chart.zoom(null));
overview.hidden = data.metrics.length === 0;

// A chart that is printed or saved stays a picture; on the screen, curves to hover over take its place.
const enliven = article => {
  const id = article.id.slice("trial-".length), row = ranked.get(id)?.row, of = curves(id);
  if (!row) return;
  const pairs = headings.map((heading, column) => [heading.textContent, row.cells[column].textContent]).filter(([name, text]) => text && name !== "trial" && !(name === "findings" && article.querySelector(".findings")));
  const head = [el("h3", {}, `Trial ${id}`), el("dl", {}, ...pairs.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text))))];
  if (!Object.keys(of).length) return article.querySelector(".wide") ? undefined : article.append(...head);
  const box = el("div", { class: "panels" });
  article.querySelector(".wide")?.classList.add("printed");
  article.prepend(el("div", { class: "live" }, ...head, box));
  drawPanels(box, of, marks(Number(row.dataset.best), Number(row.dataset.onset)));
};
const seen = new IntersectionObserver(entries => {
  for (const { target } of entries.filter(entry => entry.isIntersecting)) { seen.unobserve(target); enliven(target); }
}, { rootMargin: "400px" });
document.querySelectorAll("article").forEach(article => seen.observe(article));

// A trial that is linked to and is not in the page yet gets a place.
const draw = id => {
  if (!ranked.has(id)) return;
  const article = el("article", { id: `trial-${id}` });
  $("curves").prepend(article);
  enliven(article);
};
const visit = () => {
  const [, id] = /^#trial-(\d+)$/.exec(location.hash) ?? [];
  if (!id) return;
  if (!$(`trial-${id}`)) draw(id);
  $(`trial-${id}`)?.scrollIntoView();
};
addEventListener("hashchange", visit);
show();
visit();
