// Parallel coordinates: a line for each trial through its parameters to its result. Dragging along an axis selects.
import { count, el, ink, isShare, said, significant } from "./common.js";

const LINES = 1500, LEVELS = 24, TOP = 34, BOTTOM = 14, SIDE = 72;

// An axis: `place(value)` is 0 at the bottom and 1 at the top. It is logarithmic if the sweep file draws its values so.
const axis = (name, values, text, isLog) => {
  const known = values.filter(value => value !== null && value !== undefined);
  if (known.every(value => typeof value === "number") && new Set(known).size > 6) {
    const [low, high] = known.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]), log = isLog && low > 0;
    const f = log ? Math.log : value => value, span = f(high) - f(low) || 1;
    const back = share => { const value = f(low) + share * span; return log ? Math.exp(value) : value; };
    return { name, place: value => (f(value) - f(low)) / span, ticks: [0, 0.25, 0.5, 0.75, 1].map(share => [share, text(back(share))]) };
  }
  const levels = [...new Set(known)];
  levels.sort((a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  if (levels.length > LEVELS || levels.length < 2) return null;
  const at = new Map(levels.map((level, index) => [level, (index + 0.5) / levels.length]));
  return { name, place: value => at.get(value), ticks: levels.map(level => [at.get(level), typeof level === "number" ? significant(level) : String(level)]) };
};

export class Parallel {
  constructor(box, note, selected) {
    Object.assign(this, { box, note, selected, axes: [], rows: [], brushes: new Map() });
    this.canvas = el("canvas", { role: "img", "aria-label": "Parameters and results" });
    box.replaceChildren(this.canvas);
    new ResizeObserver(() => this.draw()).observe(box);
    // Nothing is drawn while nobody sees it.
    new IntersectionObserver(([entry]) => { this.isSeen = entry.isIntersecting; if (this.isSeen && this.isStale) this.set(...this.given); }).observe(box);
    addEventListener("repaint", () => this.draw());
    this.canvas.addEventListener("pointerdown", event => this.press(event));
    this.canvas.addEventListener("pointermove", event => this.move(event));
    this.canvas.addEventListener("pointerup", event => this.release(event));
    this.canvas.addEventListener("pointercancel", () => { this.from = null; });
  }

  set(rows, overview) {
    const { metric, names, logarithmic } = overview;
    this.given = [rows, overview];
    // Thousands of rows are not sorted for nobody.
    if (!this.isSeen && this.axes.length > 1) { this.isStale = true; return; }
    const ranked = rows.filter(row => row.value !== null);
    const axes = names.map((name, at) => {
      const one = axis(name, ranked.map(row => row.settings[at]), significant, logarithmic[at]);
      return one && { ...one, of: row => row.settings[at] };
    });
    // Far-off results would press all others together.
    const values = ranked.map(row => row.value).sort((a, b) => a - b), at = share => values[Math.round(share * (values.length - 1))];
    const [low, high] = metric.minimize ? [values[0], at(0.9)] : [at(0.1), values.at(-1)];
    const span = high - low || 1;
    const place = value => { const share = Math.max(0, Math.min(1, (value - low) / span)); return metric.minimize ? 1 - share : share; };
    // What lies beyond the worst end is drawn there.
    const beyond = share => share === 1 && high < values.at(-1) ? "≥ " : share === 0 && low > values[0] ? "≤ " : "";
    const marks = [0, 0.25, 0.5, 0.75, 1].map(share => [place(low + share * span), beyond(share) + said(low + share * span, isShare(metric.name) ? metric.name : "")]);
    const result = ranked.length ? [{ name: metric.words, place, ticks: marks, of: row => row.value, result: true }] : [];
    this.left = names.filter((_, index) => !axes[index]);
    this.axes = [...axes.filter(Boolean).slice(0, 12), ...result];
    this.rows = [...ranked].sort((a, b) => metric.minimize ? a.value - b.value : b.value - a.value);
    this.box.closest("section").hidden = this.axes.length < 2;
    this.draw();
  }

  x(at) { return SIDE + at * (this.width - SIDE - 74) / Math.max(1, this.axes.length - 1); }
  y(share) { return this.height - BOTTOM - share * (this.height - TOP - BOTTOM); }
  within(row) {
    return [...this.brushes].every(([name, [low, high]]) => {
      const axis = this.axes.find(axis => axis.name === name), share = axis?.place(axis.of(row));
      return !axis || (share !== undefined && share >= low && share <= high);
    });
  }

  draw() {
    [this.width, this.height] = [this.box.clientWidth, this.box.clientHeight];
    if (!this.width || this.axes.length < 2) return;
    this.isStale = !this.isSeen;
    if (this.isStale) return;
    const ratio = devicePixelRatio || 1;
    [this.canvas.width, this.canvas.height] = [this.width * ratio, this.height * ratio];
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.font = "11px system-ui, sans-serif";
    const step = Math.max(1, Math.ceil(this.rows.length / LINES)), best = Math.max(1, Math.min(30, Math.ceil(this.rows.length / 10)));
    const drawn = this.rows.filter((_, at) => at < best || at % step === 0), inside = drawn.filter(row => this.within(row));
    const chosen = this.brushes.size > 0, rank = new Map(this.rows.slice(0, best).map((row, at) => [row, at]));
    const line = (row, color, width) => {
      [pen.strokeStyle, pen.lineWidth] = [color, width];
      pen.beginPath();
      this.axes.forEach((axis, at) => {
        const share = axis.place(axis.of(row));
        if (share !== undefined && !Number.isNaN(share)) pen.lineTo(this.x(at), this.y(share));
      });
      pen.stroke();
    };
    pen.globalAlpha = drawn.length > 300 ? 0.5 : 0.9;
    for (const row of drawn) if (!chosen || !this.within(row)) line(row, ink("faint"), 0.75);
    for (const row of [...inside].reverse())
      if (chosen || rank.has(row)) line(row, ink(row === inside[0] ? "vermilion" : "blue"), row === inside[0] ? 2.5 : 1.2);
    pen.globalAlpha = 1;
    this.axes.forEach((axis, at) => this.axis(pen, axis, this.x(at)));
    const left = this.left.length ? ` Not drawn, with one value or too many: ${this.left.join(", ")}.` : "";
    const some = drawn.length < this.rows.length ? `${count(drawn.length)} of ${count(this.rows.length)} trials are drawn, the best ${best} among them.` : `${count(this.rows.length)} trials.`;
    this.note.textContent = `${some} ${chosen ? "The best of those selected" : "The best"} is orange.${left}`;
  }

  axis(pen, { name, ticks, result }, x) {
    [pen.strokeStyle, pen.lineWidth] = [ink("soft"), 1];
    pen.beginPath(); pen.moveTo(x, this.y(0)); pen.lineTo(x, this.y(1)); pen.stroke();
    const brush = this.brushes.get(name);
    if (brush) {
      [pen.fillStyle, pen.globalAlpha] = [ink("link"), 0.3];
      pen.fillRect(x - 7, this.y(brush[1]), 14, this.y(brush[0]) - this.y(brush[1]));
      pen.globalAlpha = 1;
    }
    const room = (this.width - SIDE - 74) / Math.max(1, this.axes.length - 1) - 10;
    [pen.textAlign, pen.textBaseline, pen.fillStyle, pen.font] = [result ? "right" : "center", "bottom", ink("text"), "bold 11px system-ui, sans-serif"];
    pen.fillText(cut(pen, name, result ? room + 60 : room), result ? this.width - 4 : x, TOP - 12);
    [pen.textAlign, pen.textBaseline, pen.font] = [result ? "left" : "right", "middle", "11px system-ui, sans-serif"];
    for (const [share, text] of ticks) {
      const said = cut(pen, text, 64), place = result ? x + 8 : x - 8, wide = pen.measureText(said).width;
      [pen.fillStyle, pen.globalAlpha] = [ink("paper"), 0.8];
      pen.fillRect(result ? place - 1 : place - wide - 1, this.y(share) - 7, wide + 2, 14);
      [pen.fillStyle, pen.globalAlpha] = [ink("text"), 1];
      pen.fillText(said, place, this.y(share));
    }
  }

  press(event) {
    const at = this.axes.findIndex((_, at) => Math.abs(this.x(at) - event.offsetX) < 22);
    if (at < 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.from = { name: this.axes[at].name, y: event.offsetY, had: this.brushes.delete(this.axes[at].name) };
  }

  select(low, high) {
    const share = y => (this.height - BOTTOM - y) / (this.height - TOP - BOTTOM);
    this.brushes.set(this.from.name, [share(low), share(high)]);
  }

  move(event) {
    if (!this.from || Math.abs(event.offsetY - this.from.y) < 5) return;
    this.select(Math.max(event.offsetY, this.from.y), Math.min(event.offsetY, this.from.y));
    this.waiting ??= requestAnimationFrame(() => { this.waiting = null; this.draw(); });
  }

  // A finger that drags scrolls the page, so its touch selects what is near.
  release({ pointerType, offsetY }) {
    if (!this.from) return;
    if (pointerType === "touch" && !this.from.had) this.select(offsetY + 14, offsetY - 14);
    this.from = null;
    this.draw();
    this.selected(this.brushes.size ? new Set(this.rows.filter(row => this.within(row)).map(row => row.id)) : null);
  }
}

const cut = (pen, text, room) => {
  if (pen.measureText(text).width <= room) return text;
  let end = text.length;
  while (end > 1 && pen.measureText(`${text.slice(0, end)}…`).width > room) end--;
  return `${text.slice(0, end)}…`;
};
