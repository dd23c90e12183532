// The page of several sweeps: a card and the best curves of each.
import { count, get, el, padded, said } from "./common.js";
import { Chart } from "./chart.js";

const HIGHLIGHTS = ["blue", "vermilion", "green", "purple", "orange"], INTERVAL = 2000;
const cards = [...document.querySelectorAll("[data-sweep]")].map(card =>
  ({ card, base: `/sweep/${card.dataset.sweep}/`, version: 0, chart: new Chart(card.querySelector(".chart"), { small: true }) }));

const refresh = async one => {
  // No row is newer than this version: only the overview comes.
  const { overview } = await get(`${one.base}update?since=${Number.MAX_SAFE_INTEGER}`);
  if (overview.version === one.version) return;
  one.version = overview.version;
  const part = name => one.card.querySelector(name), { state, ended, total, best, left, metric } = overview;
  [part(".pill").textContent, part(".pill").className] = [state, `pill ${state}`];
  part(".counts").textContent = `${total === null ? count(ended) : `${count(ended)} of ${count(total)}`} ended: ${overview.counts}`;
  part("progress").value = total ? ended / total : 0;
  part(".best").replaceChildren(...(best ? [el("a", { href: `${one.base}#trial-${best.trial}` }, `trial ${padded(best.trial)}`), `: ${metric.words} ${best.value}`] : ["no result yet"]));
  part(".note").textContent = state === "running" && left ? `about ${left} left` : "";
  const ids = overview.shown.map(([id]) => id).slice(0, 60);
  const { curves, band } = await get(`${one.base}curves?metric=${encodeURIComponent(metric.name)}&trials=${ids.join(",")}`);
  const drawn = ids.filter(id => curves[id]?.[0].length).map(id => {
    const ink = HIGHLIGHTS[overview.leaders.indexOf(id)];
    return { id, xs: curves[id][0], ys: curves[id][1], ink: ink ?? "faint", width: ink ? 1.8 : 0.8, faint: !ink };
  });
  if (drawn.length < overview.shown.length) part(".note").append(`${part(".note").textContent ? "; " : ""}${drawn.length} of ${count(overview.started)} trials are drawn: those that have not ended, and the best`);
  one.chart.set({ curves: drawn, band, metric: metric.name });
};

const round = async () => {
  if (!document.hidden) for (const one of cards) {
    try { await refresh(one); } catch { one.card.querySelector(".note").textContent = "The connection to sweep serve is lost."; }
  }
  setTimeout(round, INTERVAL);
};
round();
