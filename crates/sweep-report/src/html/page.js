"use strict";
// Sorting and filtering of the table, and the curves of trials whose chart is not in the page.
const table = document.getElementById("trials"), body = table.tBodies[0], headings = [...table.tHead.rows[0].cells];
const filter = document.getElementById("filter"), all = document.getElementById("all");
const rows = [...body.rows], names = headings.map(heading => heading.textContent.replaceAll(" ", "").toLowerCase());
const SHOWN = 200;
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
  let found = 0;
  for (const row of rows) row.hidden = !conditions.every(holds => holds(row)) || found++ >= limit;
  const some = Math.min(found, limit);
  const count = number => number.toLocaleString("en-US");
  const match = found === rows.length ? `${count(found)} trials` : `${count(found)} of ${count(rows.length)} trials match`;
  document.getElementById("count").textContent = some === found ? match : `${match}, ${some} shown`;
  all.hidden = some === found;
};
filter.addEventListener("input", () => { limit = SHOWN; show(); });
all.addEventListener("click", () => { limit = Infinity; show(); });

// A trial that is linked to and has no chart yet gets one, from the thinned numbers in the page.
const data = JSON.parse(document.getElementById("data").textContent);
const element = (name, attributes = {}, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};
const VALIDATION = "#D55E00", SOFT = "#59636E";
const CURVES = [["train", "#8CC4E8", 1.5], ["train_eval", "#0072B2", 2], ["val", VALIDATION, 2]];
const text = (x, y, said, anchor = "start", fill = SOFT) =>
  element("text", { x, y, fill, "font-size": 11, "text-anchor": anchor }, said);
const measured = ({ series }) => series.some(([, points]) => points.some(point => point !== null));
const usual = (title, scale, quantity, curve) => ({ title, scale, usual: true,
  series: CURVES.map(([of, ink, width]) => [curve.epochs, curve[`${of}_${quantity}`] ?? [], ink, width]) });
const named = ([at, epochs, points]) =>
  ({ title: data.names[at], scale: 1, series: [[epochs, points, VALIDATION, 2]] });
// Loss and accuracy where there is nothing else; else what was measured of them, and a panel for each other metric.
const panels = curve => {
  const both = [usual("Loss", 1, "loss", curve), usual("Accuracy (%)", 100, "accuracy", curve)];
  return curve.named ? [...both.filter(measured), ...curve.named.map(named)] : both;
};
const panel = ({ title, scale, series, usual }, [first, last], place, best, onset) => {
  const values = series.flatMap(([, points]) => points).filter(point => point !== null);
  const low = Math.min(...values), high = Math.max(...values, low + 1e-9);
  const marks = usual ? [...best, ...onset] : best;
  const x = epoch => (epoch - first) / (last - first) * 392, y = point => 250 - (point - low) / (high - low) * 200;
  const group = element("g", { transform: `translate(${place})` }, text(0, 28, title.slice(0, 48), "start", "#1B1F24"));
  if (values.length === 0) return group;
  for (let step = 0; step <= 4; step++) {
    const at = low + (high - low) * step / 4;
    group.append(element("path", { d: `M0 ${y(at)}h392`, stroke: "#E4E7EB", fill: "none" }),
      text(-8, y(at) + 4, (at * scale).toPrecision(3), "end"));
  }
  for (const epoch of [first, last]) group.append(text(x(epoch), 268, `epoch ${epoch}`, epoch === first ? "start" : "end"));
  for (const [at, said, stroke] of marks.filter(([at]) => at >= first && at <= last)) {
    const anchor = x(at) < 60 ? "start" : x(at) > 332 ? "end" : "middle";
    group.append(element("path", { d: `M${x(at)} 46v204`, stroke, "stroke-dasharray": "4 3", fill: "none" }),
      text(x(at), stroke === VALIDATION ? 28 : 42, said, anchor, stroke));
  }
  for (const [epochs, points, stroke, width] of series) {
    const d = points.map((point, at) => point === null ? "" :
      `${at && points[at - 1] !== null ? "L" : "M"}${x(epochs[at]).toFixed(1)} ${y(point).toFixed(1)}`).join("");
    group.append(element("path", { d, stroke, "stroke-width": width, fill: "none", "stroke-linejoin": "round" }));
  }
  return group;
};
const draw = id => {
  const row = rows.find(row => row.cells[1].textContent === id);
  if (!row) return;
  const article = document.createElement("article"), title = document.createElement("h3"), wide = document.createElement("div");
  article.id = `trial-${id}`;
  title.textContent = `Trial ${id}`;
  wide.className = "wide";
  const list = document.createElement("dl");
  headings.forEach((heading, column) => {
    const pair = document.createElement("div"), name = document.createElement("dt"), said = document.createElement("dd");
    [name.textContent, said.textContent] = [heading.textContent, row.cells[column].textContent];
    pair.append(name, said);
    if (said.textContent) list.append(pair);
  });
  article.append(title, list);
  const curve = data[id];
  if (curve) {
    const all = panels(curve), high = Math.ceil(all.length / 2), foot = 260 * high + 34;
    const svg = element("svg", { viewBox: `0 0 960 ${foot + 16}`, role: "img", "font-family": "inherit" });
    // A trial without a best epoch or an onset of overfitting has no such attribute.
    const mark = (epoch, label, stroke) => epoch ? [[Number(epoch), `${label} ${epoch}`, stroke]] : [];
    const best = mark(row.dataset.best, "best epoch", SOFT);
    const onset = mark(row.dataset.onset, "overfits from epoch", VALIDATION);
    const span = [curve.epochs[0], Math.max(curve.epochs.at(-1), curve.epochs[0] + 1)];
    svg.append(element("title", {}, `Curves of trial ${id}`), ...all.map((one, at) =>
      panel(one, span, [[64, 544][at % 2], 260 * Math.floor(at / 2)], best, onset)));
    const labels = ["training images, during training", "training images, evaluation mode", "validation images"];
    if (all.some(one => one.usual)) labels.forEach((label, at) => svg.append(
      element("path", { d: `M${24 + at * 230} ${foot}h22`, stroke: CURVES[at][1], "stroke-width": CURVES[at][2] }),
      text(53 + at * 230, foot + 4, label, "start", "#1B1F24")));
    wide.append(svg);
    article.append(wide);
  }
  document.getElementById("curves").prepend(article);
};
const visit = () => {
  const [, id] = /^#trial-(\d+)$/.exec(location.hash) ?? [];
  if (!id) return;
  if (!document.getElementById(`trial-${id}`)) draw(id);
  document.getElementById(`trial-${id}`)?.scrollIntoView();
};
addEventListener("hashchange", visit);
show();
visit();
