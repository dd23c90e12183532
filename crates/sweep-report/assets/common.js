// What all pages share: elements, numbers, colors, and the choice of light or dark.
export const $ = id => document.getElementById(id);

// An element. Children are text or elements: text is never read as markup.
export const el = (name, properties = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "on") Object.entries(value).forEach(([event, does]) => node.addEventListener(event, does));
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter(child => child !== undefined && child !== null && child !== false));
  return node;
};

export const count = number => number.toLocaleString("en-US");
export const padded = id => String(id).padStart(4, "0");
export const isShare = metric => /_accuracy$/.test(metric);

// Four significant digits, as in the report, and large or small numbers in scientific notation.
export const significant = (value, digits = 4) => {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const rounded = Number(value.toPrecision(digits));
  return size >= 1e5 || size < 1e-4 ? rounded.toExponential() : String(rounded);
};
export const said = (value, metric) =>
  value === null || value === undefined ? "–" : isShare(metric) ? `${(value * 100).toFixed(1)}%` : measured(value);
// Zeros at the end say how exact a number is: they are kept where numbers stand below each other.
const measured = value => Math.abs(value) >= 1e5 || (value && Math.abs(value) < 1e-4) ? value.toExponential(3) : value.toPrecision(4);
// A sentence of the report. Text between backticks is code.
export const prose = text => text.split("`").map((part, at) => at % 2 ? el("code", {}, part) : part);

// The color of a custom property, as a canvas needs it.
const probe = el("i", { hidden: true });
let inks = new Map();
export const ink = name => {
  if (!inks.has(name)) {
    if (!probe.isConnected) document.body.append(probe);
    probe.style.color = `var(--${name})`;
    inks.set(name, getComputedStyle(probe).color);
  }
  return inks.get(name);
};

const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
const repaint = () => { inks = new Map(); dispatchEvent(new Event("repaint")); };
export const turn = () => {
  const is = root.dataset.theme ?? (dark.matches ? "dark" : "light");
  root.dataset.theme = is === "dark" ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* Storage may be forbidden. */ }
  repaint();
};
try { if (localStorage.getItem("theme")) root.dataset.theme = localStorage.getItem("theme"); } catch { /* As above. */ }
dark.addEventListener("change", repaint);
$("theme")?.addEventListener("click", turn);

export const get = async path => {
  const response = await fetch(path);
  if (!response.ok) throw new Error(await response.text());
  return response.json();
};
