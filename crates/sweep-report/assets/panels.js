// The curves of one trial: loss and accuracy with their three curves, and every other metric by itself.
import { el, said } from "./common.js";
import { Chart } from "./chart.js";

const LINES = [["train", "training, during training", "sky", 1.5], ["train_eval", "training, evaluation mode", "blue", 2], ["val", "validation", "vermilion", 2]];

const panels = curves => {
  const usual = ["loss", "accuracy"].map(quantity => ({ title: quantity === "loss" ? "Loss" : "Accuracy", metric: `val_${quantity}`,
    curves: LINES.map(([of, label, ink, width]) => ({ name: `${of}_${quantity}`, label, ink, width })).filter(({ name }) => curves[name]) }));
  const known = new Set(usual.flatMap(panel => panel.curves.map(curve => curve.name)));
  const others = Object.keys(curves).filter(name => !known.has(name)).map(name => ({ title: name, metric: name, curves: [{ name, label: name, ink: "vermilion", width: 2 }] }));
  return [...usual.filter(panel => panel.curves.length), ...others];
};

export const marks = (best, onset) => [best && { x: best, text: `best epoch ${best}`, ink: "soft" },
  onset && { x: onset, text: `overfits after epoch ${onset}`, ink: "vermilion" }].filter(Boolean);

// Fills a box with the panels. `curves` has epochs and values by metric.
export const drawPanels = (into, curves, marks, options = {}) => {
  for (const panel of panels(curves)) {
    const box = el("div", { class: "chart", tabindex: "0" });
    const legend = panel.curves.length > 1 ? el("p", { class: "legend" }, ...panel.curves.map(({ label, ink }) => el("span", { class: ink }, label))) : null;
    into.append(el("figure", {}, el("figcaption", {}, panel.title), box, ...(legend ? [legend] : [])));
    const chart = new Chart(box, { describe: (curve, at) => [curve.label, `epoch ${curve.xs[at]}: ${said(curve.ys[at], curve.id)}`] });
    Object.assign(chart.options, options);
    chart.set({ metric: panel.metric, whole: true, marks, curves: panel.curves.map(({ name, label, ink, width }) =>
      ({ id: name, label, ink, width, xs: curves[name][0], ys: curves[name][1] })).reverse() });
  }
};
