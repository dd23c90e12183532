// Curves on a canvas: axes, a band, hover, zoom, logarithmic axes, smoothing. One canvas has the curves, another above it
// has what the pointer is on, so that moving the pointer does not draw all curves again.
//
// Chart libraries want all curves at the same epochs, and know neither a band below them nor the nearest of 200. This is
// less code than what would have to be added to one, and nothing to license or to update.
import { el, ink, isShare, significant } from "./common.js";

const LEFT = 58, RIGHT = 14, TOP = 10, BOTTOM = 28, NEAR = 28;

// Round values between two ends: 1, 2 or 5 times a power of ten.
const ticks = (low, high, most, log) => {
  if (log) {
    const all = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
      for (const digit of [1, 2, 5]) all.push(digit * 10 ** power);
    const within = all.filter(at => at >= low * 0.999 && at <= high * 1.001);
    const tens = within.filter(at => Math.abs(Math.log10(at) % 1) < 1e-9 || Math.abs(Math.log10(at) % 1) > 1 - 1e-9);
    const every = Math.ceil(tens.length / (most * 1.5));
    if (within.length > 1) return within.length <= most * 1.5 || tens.length < 2 ? within : tens.filter((_, at) => at % every === 0);
  }
  const rough = (high - low) / most || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(digit => digit * power).find(step => step >= rough);
  const all = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) all.push(Math.abs(at) < step * 1e-9 ? 0 : at);
  return all;
};

// An exponential mean that starts at the first value.
const smoothed = (values, share) => {
  let mean = values[0];
  return share === 0 ? values : values.map(value => (mean = share * mean + (1 - share) * value));
};

export class Chart {
  // `describe(curve, index)` returns the lines of the label; `pick(curve)` is called on a click.
  constructor(box, { describe, pick, zoomed, small = false } = {}) {
    Object.assign(this, { box, describe, pick, zoomed, small, curves: [], marks: [], options: {}, view: null, on: null });
    this.base = el("canvas", { "aria-hidden": "true" });
    this.above = el("canvas", { role: "img", "aria-label": "Curves" });
    this.label = el("div", { class: "label", hidden: true });
    box.replaceChildren(this.base, this.above, this.label);
    new ResizeObserver(() => this.draw()).observe(box);
    addEventListener("repaint", () => this.draw());
    if (small) return;
    this.above.addEventListener("pointermove", event => this.move(event));
    this.above.addEventListener("pointerleave", () => this.leave());
    this.above.addEventListener("pointerdown", event => this.press(event));
    this.above.addEventListener("pointerup", event => this.release(event));
    this.above.addEventListener("pointercancel", () => { this.from = null; });
    this.above.addEventListener("dblclick", () => this.zoom(null));
    box.addEventListener("keydown", event => this.key(event));
  }

  // Curves: { id, xs, ys, ink, width, faint }. The first is drawn on top. A band: { epochs, quantiles }.
  set({ curves, band = null, marks = [], metric = "", whole = false }) {
    Object.assign(this, { curves, band, marks, metric, whole });
    this.on = this.on && curves.find(curve => curve.id === this.on.curve.id) ? this.on : null;
    this.draw();
  }

  option(name, value) { this.options[name] = value; this.view = null; this.zoomed?.(false); this.draw(); }
  zoom(view) { this.view = view; this.zoomed?.(view !== null); this.draw(); }

  // The ends of both axes. A few curves far off do not flatten the others: `cut` says that they are beyond.
  extent() {
    const { logY, logX } = this.options;
    let values = this.lines.flatMap(line => line.ys);
    const last = Math.max(1, ...this.lines.map(line => line.xs.at(-1) ?? 1), this.band?.epochs.at(-1) ?? 1);
    const first = Math.min(...this.lines.map(line => line.xs[0] ?? 1), this.band?.epochs[0] ?? last);
    if (this.band) values = values.concat(this.band.quantiles.flat().filter(value => value !== null));
    values = (logY ? values.filter(value => value > 0) : values).sort((a, b) => a - b);
    if (!values.length) return { x: [first, Math.max(last, first + 1)], y: logY ? [0.1, 1] : [0, 1], cut: null };
    let [low, high] = [values[0], values.at(-1)];
    if (!this.whole) {
      const at = share => values[Math.round(share * (values.length - 1))], span = at(0.98) - at(0.02);
      [low, high] = [Math.max(low, at(0.02) - span / 2), Math.min(high, at(0.98) + span / 2)];
    }
    const far = (high - low) / 20, cut = high + far < values.at(-1) ? values.at(-1) : low - far > values[0] ? values[0] : null;
    if (low === high) [low, high] = logY ? [low / 1.5, high * 1.5] : [low - Math.abs(low || 1) / 10, high + Math.abs(high || 1) / 10];
    const room = (high - low) * 0.03;
    const y = logY ? [low / 1.03, high * 1.03] : [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
    return { x: [logX ? Math.max(first, 1) : first, Math.max(last, first + 1)], y, cut };
  }

  scale() {
    const { logY, logX } = this.options;
    const whole = this.extent(), [x, y] = [this.view?.x ?? whole.x, this.view?.y ?? whole.y];
    this.cut = this.view ? null : whole.cut;
    const left = this.small ? 40 : LEFT, right = this.width - RIGHT, bottom = this.height - BOTTOM;
    const axis = ([low, high], [from, to], log) => {
      const f = log ? Math.log : value => value, [a, b] = [f(low), f(high)];
      const place = value => from + (f(value) - a) / (b - a) * (to - from);
      place.back = at => { const value = a + (at - from) / (to - from) * (b - a); return log ? Math.exp(value) : value; };
      return place;
    };
    this.ends = { x, y };
    this.frame = { left, right, top: TOP, bottom };
    this.x = axis(x, [left, right], logX);
    this.y = axis(y, [bottom, TOP], logY);
  }

  fit(canvas) {
    const ratio = devicePixelRatio || 1;
    [canvas.width, canvas.height] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.lineJoin = "round";
    pen.font = "11px system-ui, sans-serif";
    return pen;
  }

  draw() {
    [this.width, this.height] = [this.box.clientWidth, this.box.clientHeight];
    if (!this.width || !this.height) return;
    const share = this.options.smooth ?? 0;
    this.lines = this.curves.map(curve => ({ curve, xs: curve.xs, ys: smoothed(curve.ys, share) }));
    this.scale();
    const pen = this.fit(this.base);
    this.axes(pen);
    pen.save();
    pen.beginPath();
    pen.rect(this.frame.left, 0, this.frame.right - this.frame.left, this.frame.bottom + 1);
    pen.clip();
    if (this.band) this.spread(pen);
    for (let at = this.lines.length - 1; at >= 0; at--) this.line(pen, this.lines[at]);
    pen.restore();
    this.mark(pen);
    this.light();
  }

  axes(pen) {
    const { left, right, top, bottom } = this.frame, share = isShare(this.metric);
    if (!this.curves.length && !this.band) {
      [pen.textAlign, pen.fillStyle] = ["center", ink("soft")];
      return pen.fillText("No epoch was completed yet", (left + right) / 2, (top + bottom) / 2);
    }
    pen.textBaseline = "middle";
    for (const value of ticks(...this.ends.y, this.small ? 3 : 6, this.options.logY)) {
      const at = Math.round(this.y(value)) + 0.5;
      [pen.strokeStyle, pen.fillStyle, pen.textAlign] = [ink("line"), ink("soft"), "right"];
      pen.beginPath(); pen.moveTo(left, at); pen.lineTo(right, at); pen.stroke();
      pen.fillText(share ? `${significant(value * 100)}%` : significant(value), left - 8, at);
    }
    [pen.textAlign, pen.textBaseline] = ["center", "top"];
    const epochs = ticks(...this.ends.x, Math.max(2, Math.min(10, this.width / 90)), this.options.logX).filter(Number.isInteger);
    for (const value of epochs) pen.fillText(String(value), this.x(value), bottom + 6);
    pen.textAlign = "right";
    if (!this.small) pen.fillText("epoch", right, bottom + 17);
  }

  line(pen, { curve, xs, ys }, width = curve.width ?? 1, color = ink(curve.ink)) {
    [pen.strokeStyle, pen.lineWidth, pen.globalAlpha] = [color, width, curve.faint ? 0.55 : 1];
    pen.setLineDash(curve.dash ?? []);
    pen.beginPath();
    xs.forEach((x, at) => pen.lineTo(this.x(x), this.y(ys[at])));
    pen.stroke();
    if (xs.length === 1) { pen.beginPath(); pen.arc(this.x(xs[0]), this.y(ys[0]), 2, 0, 7); pen.fillStyle = color; pen.fill(); }
    pen.globalAlpha = 1;
    pen.setLineDash([]);
  }

  spread(pen) {
    const { epochs, quantiles } = this.band;
    const inside = epochs.map((epoch, at) => at).filter(at => quantiles.every(line => line[at] !== null));
    const area = (low, high, alpha) => {
      pen.beginPath();
      inside.forEach(at => pen.lineTo(this.x(epochs[at]), this.y(quantiles[high][at])));
      [...inside].reverse().forEach(at => pen.lineTo(this.x(epochs[at]), this.y(quantiles[low][at])));
      pen.closePath();
      [pen.fillStyle, pen.globalAlpha] = [ink("band"), alpha];
      pen.fill();
      pen.globalAlpha = 1;
    };
    area(0, 4, 0.35);
    area(1, 3, 0.6);
    [pen.strokeStyle, pen.lineWidth] = [ink("soft"), 1];
    pen.beginPath();
    inside.forEach(at => pen.lineTo(this.x(epochs[at]), this.y(quantiles[2][at])));
    pen.stroke();
  }

  // Vertical lines with a label. A second label that would cover the first goes below it.
  mark(pen) {
    const { top, bottom, left, right } = this.frame;
    let row = 0;
    for (const { x, text, ink: name } of this.marks.filter(mark => mark.x >= this.ends.x[0] && mark.x <= this.ends.x[1])) {
      const at = Math.round(this.x(x)) + 0.5;
      [pen.strokeStyle, pen.fillStyle] = [ink(name), ink(name)];
      pen.setLineDash([4, 3]);
      pen.beginPath(); pen.moveTo(at, top); pen.lineTo(at, bottom); pen.stroke();
      pen.setLineDash([]);
      const beyond = at + 6 + pen.measureText(text).width > right;
      [pen.textAlign, pen.textBaseline] = [beyond ? "right" : "left", "top"];
      const place = [text, beyond ? Math.max(at - 5, left) : at + 5, top + 14 * row++];
      // Curves below the label do not cross its letters.
      [pen.strokeStyle, pen.lineWidth] = [ink("paper"), 4];
      pen.strokeText(...place);
      pen.fillText(...place);
      pen.lineWidth = 1;
    }
  }

  // What the pointer or the keyboard is on.
  light() {
    const pen = this.fit(this.above);
    if (this.from?.to) {
      const { x, y, to } = this.from;
      [pen.fillStyle, pen.globalAlpha] = [ink("link"), 0.15];
      pen.fillRect(Math.min(x, to.x), Math.min(y, to.y), Math.abs(to.x - x), Math.abs(to.y - y));
    }
    this.label.hidden = !this.on;
    if (!this.on) return;
    const line = this.lines.find(line => line.curve.id === this.on.curve.id), at = Math.min(this.on.at, line.xs.length - 1);
    const place = { x: this.x(line.xs[at]), y: this.y(line.ys[at]) };
    pen.save();
    pen.beginPath();
    pen.rect(this.frame.left, 0, this.frame.right - this.frame.left, this.frame.bottom + 1);
    pen.clip();
    this.line(pen, { ...line, curve: { ...line.curve, faint: false } }, 3, ink(line.curve.faint ? "text" : line.curve.ink));
    pen.restore();
    pen.beginPath(); pen.arc(place.x, place.y, 4.5, 0, 7);
    [pen.fillStyle, pen.strokeStyle, pen.lineWidth] = [ink("paper"), ink(line.curve.faint ? "text" : line.curve.ink), 2];
    pen.fill(); pen.stroke();
    this.label.replaceChildren(...this.describe(line.curve, at).map((text, row) => el(row ? "div" : "b", {}, text)));
    const { offsetWidth: wide, offsetHeight: high } = this.label;
    this.label.style.left = `${Math.max(0, Math.min(place.x + 14, this.width - wide - 4))}px`;
    this.label.style.top = `${place.y > high + 20 ? place.y - high - 12 : place.y + 14}px`;
  }

  point({ offsetX: x, offsetY: y }) { return { x, y }; }

  nearest({ x, y }) {
    let found = null, least = NEAR ** 2;
    for (const { curve, xs, ys } of this.lines) {
      const value = this.x.back(x);
      let low = 0, high = xs.length - 1;
      while (low < high) { const middle = (low + high) >> 1; if (xs[middle] < value) low = middle + 1; else high = middle; }
      for (const at of [low - 1, low]) {
        if (at < 0 || at >= xs.length) continue;
        // The distance along the epochs counts less: a pointer between two epochs is on a curve.
        const far = ((this.x(xs[at]) - x) / 3) ** 2 + (this.y(ys[at]) - y) ** 2;
        if (far < least) [found, least] = [{ curve, at }, far];
      }
    }
    return found;
  }

  move(event) {
    const at = this.point(event);
    if (this.from && (this.from.to || Math.hypot(at.x - this.from.x, at.y - this.from.y) > 8) && event.pointerType !== "touch") this.from.to = at;
    this.on = this.from?.to ? null : this.nearest(at);
    this.above.classList.toggle("on", this.on !== null);
    this.waiting ??= requestAnimationFrame(() => { this.waiting = null; this.light(); });
  }

  leave() { this.on = null; this.light(); }

  press(event) {
    this.from = { ...this.point(event), before: this.on?.curve.id };
    if (event.pointerType !== "touch") this.above.setPointerCapture(event.pointerId);
  }

  // A finger has no hover: its first touch shows a curve, and the second opens it.
  release(event) {
    const { from } = this, touch = event.pointerType === "touch";
    this.from = null;
    if (from?.to) {
      const [x, y] = [[from.x, from.to.x], [from.y, from.to.y]].map(pair => pair.sort((a, b) => a - b));
      if (x[1] - x[0] > 8 && y[1] - y[0] > 8)
        return this.zoom({ x: x.map(at => this.x.back(at)), y: [this.y.back(y[1]), this.y.back(y[0])] });
    } else {
      this.on = this.nearest(this.point(event));
      if (this.on && (!touch || from?.before === this.on.curve.id)) this.pick?.(this.on.curve);
    }
    this.light();
  }

  key(event) {
    if (!this.lines?.length) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key], turn = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Enter" && this.on) return this.pick?.(this.on.curve);
    if (!step && !turn) return;
    event.preventDefault();
    const row = this.on ? this.lines.findIndex(line => line.curve.id === this.on.curve.id) : 0;
    const next = this.lines[Math.max(0, Math.min(this.lines.length - 1, row + (this.on ? turn ?? 0 : 0)))];
    const at = (this.on?.at ?? next.xs.length - 1) + (step ?? 0);
    this.on = { curve: next.curve, at: Math.max(0, Math.min(next.xs.length - 1, at)) };
    this.light();
  }
}
