// What all charts share: the data, the page's colours, figures in words, and charts that follow both.

const KIB = 1024;
const root = document.documentElement;
const charts = [];

async function unpacked(element) {
  const bytes = Uint8Array.from(atob(element.textContent.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

function colour(name) {
  return getComputedStyle(root).getPropertyValue("--" + name).trim();
}

function kib(bytes) {
  return (bytes / KIB).toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}

function size(bytes) {
  return bytes < KIB ? bytes.toLocaleString("en") + " bytes" : kib(bytes) + " KiB";
}

function escaped(text) {
  const letters = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return String(text).replace(/[&<>"]/g, (letter) => letters[letter]);
}

function swatch(category) {
  return `<span class="swatch" style="display: inline-block; background: var(--${category.colour})"></span> `;
}

function rows(pairs) {
  const cells = pairs.map(([name, figure]) => `<tr><td>${name}</td><td class="figure">${figure}</td></tr>`);
  return `<table>${cells.join("")}</table>`;
}

function tooltip(trigger, formatter) {
  return {
    trigger, formatter, confine: true, className: "tip", transitionDuration: 0,
    backgroundColor: colour("raised"), borderColor: colour("line"),
    textStyle: { color: colour("ink") }, axisPointer: { lineStyle: { color: colour("ink") } },
  };
}

function axis(type, more) {
  const dim = colour("dim"), line = { lineStyle: { color: colour("line") } };
  return Object.assign({
    type, axisLabel: { color: dim }, nameTextStyle: { color: dim }, axisLine: line, axisTick: line, splitLine: line,
  }, more);
}

function zoom() {
  const line = colour("line"), dim = colour("dim");
  return [{
    type: "slider", height: 14, bottom: 6, borderColor: line, fillerColor: "transparent", showDetail: false,
    brushSelect: false, handleStyle: { color: colour("raised"), borderColor: dim },
    moveHandleStyle: { color: dim }, dataBackground: { lineStyle: { opacity: 0 }, areaStyle: { opacity: 0 } },
    selectedDataBackground: { lineStyle: { opacity: 0 }, areaStyle: { opacity: 0 } },
  }];
}

// A chart in place of what stands in the element. `option` is asked anew when colours or switches change.
function chart(element, option) {
  element.replaceChildren();
  const made = echarts.init(element, null, { renderer: "canvas" });
  const draw = () => made.setOption({ animation: false, ...option() }, { replaceMerge: ["series"] });
  draw();
  new ResizeObserver(() => made.resize()).observe(element);
  charts.push(draw);
  return made;
}

function redrawAll() {
  charts.forEach((draw) => draw());
}

function switches(name, changed) {
  const inputs = [...document.querySelectorAll(`[data-switch=${name}] input`)];
  const chosen = () => inputs.filter((input) => input.checked).map((input) => Number(input.value));
  inputs.forEach((input) => input.addEventListener("change", () => changed(chosen())));
  return { inputs, chosen };
}

// Radio buttons of which one figure, table or chart is shown at a time.
function oneOf(name, selector, shown = () => {}) {
  const show = ([number]) => {
    document.querySelectorAll(`[data-${selector}]`).forEach((element) => {
      element.hidden = element.dataset[selector] !== String(number);
      if (element.tagName === "DETAILS") element.open = !element.hidden;
    });
    shown(number);
  };
  const found = switches(name, show);
  return (number) => {
    found.inputs.forEach((input) => { input.checked = input.value === String(number); });
    if (found.inputs.length) show([number]);
  };
}
