// What a visitor does with a report; the answers are left in the page as JSON.
const rowsShown = () => [...document.querySelectorAll("#trials tbody tr")].filter(row => !row.hidden);
const cells = column => rowsShown().map(row => row.cells[column].textContent);
const click = heading => [...document.querySelectorAll("#trials th button")].find(b => b.textContent === heading).click();
const type = text => { const box = document.getElementById("filter"); box.value = text; box.dispatchEvent(new Event("input")); };
const said = { all: rowsShown().length };
click("learning_rate"); said.ascending = cells(3).map(Number);
click("learning_rate"); said.descending = cells(3).map(Number);
type("dropout=0.4 learning_rate<0.001"); said.filtered = rowsShown().map(row => [row.cells[2].textContent, row.cells[3].textContent].map(Number));
type("overfit"); said.overfit = rowsShown().length;
type("nothing-has-this"); said.none = rowsShown().length;
type("");
// The pointer on the curves of all trials.
const canvas = document.querySelectorAll("#overview canvas")[1], box = canvas.getBoundingClientRect();
for (let y = 0; y < box.height && !canvas.classList.contains("on"); y += 5)
  canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + box.width * 0.7, clientY: box.top + y }));
const missing = [...document.querySelectorAll("#trials tbody a")].find(a => !document.querySelector(a.getAttribute("href")));
said.before = document.querySelectorAll("article").length;
missing.click();
setTimeout(() => {
  const article = document.querySelector(missing.getAttribute("href"));
  said.after = document.querySelectorAll("article").length;
  said.titles = [...article.querySelectorAll("figcaption")].map(text => text.textContent);
  // Pixels of curves in the charts of the trial, and in the one of all trials.
  const pixels = node => [...node.querySelectorAll("canvas:first-child")].map(canvas => {
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return data.filter((value, at) => at % 4 === 3 && value > 0).length;
  });
  said.drawn = Math.min(...pixels(article));
  said.overview = Math.min(...pixels(document.getElementById("overview")));
  said.hover = document.querySelector("#overview .label").textContent;
  said.told = document.getElementById("drawn").textContent;
  said.width = document.documentElement.clientWidth;
  said.wide = document.documentElement.scrollWidth - said.width;
  // What the page is too wide for lies in a box that scrolls by itself.
  said.loose = [...document.querySelectorAll("body *")].filter(one =>
    one.getBoundingClientRect().right > said.width + 1 && !one.closest(".wide")).map(one => one.tagName + "." + one.className);
  // Letters of charts as they are seen.
  const size = text => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().d;
  said.smallest = Math.min(...[...document.querySelectorAll("svg text")].filter(text => text.textContent.trim() && text.getScreenCTM()).map(size));
  if (parent !== window) return parent.postMessage(JSON.stringify(said), "*");
  const result = document.createElement("pre");
  result.id = "said"; result.textContent = JSON.stringify(said);
  document.body.prepend(result);
}, 50);
