// The table of trials: columns, sorting, filtering. The filter is that of the report.
import { $, count, el, isShare, padded, said, significant } from "./common.js";

const SHOWN = 200;
const METRICS = ["val_loss", "val_accuracy", "train_eval_accuracy", "loss_gap", "accuracy_gap"];
const HEADINGS = ["val. loss", "val. accuracy", "train. accuracy", "loss gap", "accuracy gap"];
const key = heading => heading.replaceAll(" ", "").toLowerCase();

// A column: heading, value for comparing, text of the cell. Accuracies compare as percentages.
const column = (heading, value, text = value, { number = false, hidden = false, of = heading } = {}) =>
  ({ heading, name: key(heading), id: of, value, text, number, hidden });

const gap = (at, value) => value === null ? "" : (value > 0 ? "+" : "") + (at === 4 ? (value * 100).toFixed(1) : value.toFixed(4));
const metric = at => column(HEADINGS[at],
  row => row.usual[at] === null ? undefined : at === 1 || at === 2 || at === 4 ? row.usual[at] * 100 : row.usual[at],
  row => row.usual[at] === null ? "" : at > 2 ? gap(at, row.usual[at]) : said(row.usual[at], METRICS[at]), { number: true, hidden: at === 2 || at === 3 });

export class Table {
  constructor({ open, changed }) {
    Object.assign(this, { open, changed, rows: [], columns: [], sort: { id: "rank", up: true }, limit: SHOWN, chosen: null, hidden: new Set() });
    $("filter").addEventListener("input", () => { this.limit = SHOWN; this.show(); this.changed(); });
    $("more").addEventListener("click", () => { this.limit *= 5; this.show(); });
  }

  // The columns of a sweep. Those without any value are left out.
  set(rows, { metric: own, names }) {
    this.rows = rows;
    const measured = METRICS.map((_, at) => at).filter(at => rows.some(row => row.usual[at] !== null));
    const all = [
      column("rank", row => row.rank, row => row.rank ?? "–", { number: true }),
      column("trial", row => row.id, row => padded(row.id)),
      ...names.map((name, at) => column(name, row => row.settings[at] ?? undefined,
        row => typeof row.settings[at] === "number" ? significant(row.settings[at]) : row.settings[at] ?? "", { number: true, of: `parameter ${name}` })),
      ...(METRICS.includes(own.name) ? [] : [column(own.name, row => row.value === null ? undefined : isShare(own.name) ? row.value * 100 : row.value,
        row => said(row.value, own.name), { number: true, of: "metric" })]),
      ...measured.map(metric),
      column("best epoch", row => row.best ?? undefined, row => row.best === null ? "–" : `${row.best} of ${row.epochs}`, { number: true }),
      column("findings", row => row.findings || undefined, row => row.findings),
      column("outcome", row => row.error ? `${row.status}: ${row.error}` : row.status, undefined),
      ...(rows.some(row => row.tag) ? [column("tag", row => row.tag ?? undefined, row => row.tag ?? "")] : []),
      column("seconds", row => row.seconds, row => significant(row.seconds, 3), { number: true, hidden: true }),
      column("attempts", row => row.attempts, undefined, { number: true, hidden: true }),
      column("slot", row => row.slot, undefined, { hidden: true }),
    ];
    const ids = all.map(one => one.id).join("\n");
    this.columns = all.map(one => ({ ...one, text: one.text ?? one.value }));
    $("filter").placeholder = this.example(own) ?? $("filter").placeholder;
    if (ids !== this.ids) { this.ids = ids; this.hidden = new Set(all.filter(one => one.hidden).map(one => one.id)); this.head(); }
    this.show();
  }

  // A filter with names and values of this sweep, once there is a best trial.
  example({ name, minimize }) {
    const best = this.rows.find(row => row.rank === 1), of = this.columns.find(one => one.id === "metric" || METRICS[HEADINGS.indexOf(one.heading)] === name);
    const parameter = best && this.columns.find(one => one.id.startsWith("parameter ") && one.value(best) !== undefined && !/\s/.test(one.text(best)));
    return parameter && of && `overfit ${parameter.name}=${parameter.text(best)} ${of.name}${minimize ? "<" : ">"}${significant(of.value(best), 2)}`;
  }

  visible() { return this.columns.filter(one => !this.hidden.has(one.id)); }

  head() {
    const sorted = one => one.id === this.sort.id ? (this.sort.up ? "ascending" : "descending") : undefined;
    $("table").tHead.rows[0].replaceChildren(...this.visible().map(one => el("th", { "aria-sort": sorted(one), class: one.number ? "n" : undefined },
      el("button", { on: { click: () => {
        this.sort = { id: one.id, up: this.sort.id === one.id ? !this.sort.up : true };
        this.head(); this.show();
      } } }, one.heading))));
    $("choices").replaceChildren(...this.columns.map(one => el("label", {}, el("input", { type: "checkbox", checked: !this.hidden.has(one.id), on: {
      change: ({ target }) => { if (target.checked) this.hidden.delete(one.id); else this.hidden.add(one.id); this.head(); this.show(); } } }), ` ${one.heading}`)));
  }

  // Every word must hold: name=value, name<value or name>value of a column, or else text of the row.
  conditions() {
    return $("filter").value.toLowerCase().split(/\s+/).filter(Boolean).map(word => {
      const [, name, sign, wanted] = /^([^<>=]+)([<>=])(.+)$/.exec(word) ?? [];
      const of = this.columns.find(one => one.name === name);
      if (!of) return row => (row.words ??= this.columns.map(one => String(one.text(row) ?? "")).join("\n").toLowerCase()).includes(word);
      return row => {
        const is = of.value(row);
        if (sign === "=") return String(is).toLowerCase() === wanted || String(of.text(row)).toLowerCase() === wanted || is === Number(wanted);
        return typeof is === "number" && (sign === "<" ? is < Number(wanted) : is > Number(wanted));
      };
    });
  }

  // The trials that meet the filter and the selection of the parallel coordinates; all if there is neither.
  matching() {
    const conditions = this.conditions();
    return this.rows.filter(row => (!this.chosen || this.chosen.has(row.id)) && conditions.every(holds => holds(row)));
  }

  isFiltered() { return this.chosen !== null || $("filter").value.trim() !== ""; }

  show() {
    const found = this.matching(), of = this.columns.find(one => one.id === this.sort.id) ?? this.columns[0];
    const keyed = found.map(row => [of.value(row), row]), way = this.sort.up ? 1 : -1;
    keyed.sort(([x, a], [y, b]) => {
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined) || a.id - b.id;
      const numbers = typeof x === "number" && typeof y === "number";
      return way * (numbers ? x - y : String(x).localeCompare(String(y))) || a.id - b.id;
    });
    const body = $("table").tBodies[0], focus = body.contains(document.activeElement) ? document.activeElement.dataset.trial : null;
    const columns = this.visible(), shown = keyed.slice(0, this.limit);
    body.replaceChildren(...shown.map(([, row]) => this.row(row, columns)));
    if (focus) body.querySelector(`[data-trial="${focus}"]`)?.focus();
    const match = found.length === this.rows.length ? `${count(found.length)} trials` : `${count(found.length)} of ${count(this.rows.length)} trials match`;
    $("count").textContent = shown.length === found.length ? match : `${match}, ${count(shown.length)} shown`;
    $("more").hidden = shown.length === found.length;
  }

  row(row, columns) {
    const cell = one => one.id === "trial"
      ? el("td", {}, el("a", { href: `#trial-${row.id}`, "data-trial": row.id }, one.text(row)))
      : el("td", { class: one.number && (typeof one.value(row) === "number" || one.text(row) === "–") ? "n" : one.id === "outcome" && row.kind === "bad" ? "bad text" : one.id === "findings" || one.id === "outcome" ? "text" : undefined }, String(one.text(row) ?? ""));
    return el("tr", { class: row.kind === "open" ? "open" : undefined, on: { click: ({ target }) => { if (!target.closest("a")) this.open(row.id); } } }, ...columns.map(cell));
  }

  // Moves the focus by rows.
  step(by) {
    const links = [...$("table").tBodies[0].querySelectorAll("a")], at = links.indexOf(document.activeElement);
    links[Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
  }
}
