// Live bytes by category over one step, stacked; whatever is under the pointer is told.

const LARGEST = 5;

function expanded(changes, count) {
  const values = new Array(count).fill(0);
  for (let i = 0; i < changes.length; i += 2) {
    const end = i + 2 < changes.length ? changes[i + 2] : count;
    values.fill(changes[i + 1], changes[i], end);
  }
  return values;
}

function runsOf(operations, field) {
  const found = [];
  operations.forEach((operation, index) => {
    const last = found[found.length - 1];
    if (last && last.value === operation[field]) last.end = index;
    else found.push({ value: operation[field], start: index, end: index });
  });
  return found;
}

function phaseAreas(data, regime, width) {
  const shades = { forward: 0.05, backward: 0.13, update: 0.17 };
  const ink = colour("ink");
  return runsOf(regime.operations, 1).map(({ value, start, end }) => {
    const phase = data.names[value];
    const room = width * (end - start + 1) / regime.operations.length > 9 * phase.length;
    return [{
      xAxis: start, itemStyle: { color: ink, opacity: shades[phase] || 0.02 },
      label: { show: room, formatter: phase, position: "insideTop", color: colour("dim"), fontSize: 11 },
    }, { xAxis: end + 1 < regime.operations.length ? end + 1 : end }];
  });
}

function ramLine(data, regime) {
  if (data.usable > regime.top) return {};
  return {
    symbol: "none", silent: true, lineStyle: { color: colour("ink"), type: "dashed", width: 1.5 },
    label: { formatter: `usable RAM ${size(data.usable)}`, position: "insideEndTop", color: colour("ink"),
             textBorderColor: colour("raised"), textBorderWidth: 3 },
    data: [{ yAxis: data.usable / KIB }],
  };
}

function alive(regime, moment, categories) {
  return regime.tensors
    .filter((t) => t[8] <= moment && moment <= t[9] && categories.includes(t[1]))
    .sort((a, b) => b[5] - a[5]);
}

function momentTip(data, regime, moment, categories) {
  const [operation, phase, block] = regime.operations[moment].map((name) => escaped(data.names[name]));
  const live = categories.map((c) => [c, regime.values[c][moment]]).filter(([, bytes]) => bytes);
  const total = live.reduce((sum, [, bytes]) => sum + bytes, 0);
  const byCategory = live.reverse().map(([c, bytes]) => [swatch(data.categories[c]) + escaped(data.categories[c].name), kib(bytes)]);
  const largest = alive(regime, moment, categories).slice(0, LARGEST)
    .map((t) => [escaped(data.names[t[0]]), kib(t[5])]);
  return `<strong>${operation}</strong><br>operation ${moment}, ${phase}${block ? ", block " + block : ""}`
    + rows([["<strong>live, KiB</strong>", `<strong>${kib(total)}</strong>`], ...byCategory])
    + (largest.length ? "<em>largest tensors</em>" + rows(largest) : "");
}

function timelineOption(data, regime, categories, width) {
  const layer = (c) => ({
    name: data.categories[c].name, type: "line", stack: "live", step: "middle", symbol: "none", silent: true,
    data: regime.values[c].map((bytes) => bytes / KIB), lineStyle: { width: 0 }, itemStyle: { color: colour(data.categories[c].colour) },
    areaStyle: { color: colour(data.categories[c].colour), opacity: 1 },
  });
  const marks = {
    name: "marks", type: "line", data: [], markLine: ramLine(data, regime),
    markArea: { silent: true, data: phaseAreas(data, regime, width) },
  };
  const used = categories.filter((c) => regime.live[c].length);
  return {
    grid: { left: 60, right: 12, top: 12, bottom: 46 }, dataZoom: zoom(),
    tooltip: tooltip("axis", (items) => items.length ? momentTip(data, regime, items[0].dataIndex, categories) : ""),
    xAxis: axis("category", { data: regime.operations.map((_, index) => index), splitLine: { show: false } }),
    yAxis: axis("value", {
      max: regime.top / KIB, splitNumber: 4, axisLabel: { color: colour("dim"), showMaxLabel: false },
    }),
    series: [marks, ...used.map(layer)],
  };
}

function timelines(data, categories) {
  data.regimes.forEach((regime, number) => {
    const element = document.querySelector(`[data-timeline="${number}"] .chart`);
    if (!element || !regime.operations.length) return;
    regime.values = regime.live.map((changes) => expanded(changes, regime.operations.length));
    chart(element, () => timelineOption(data, regime, categories(), element.clientWidth));
  });
  switches("regimes", (shown) => {
    data.regimes.forEach((_, number) => {
      document.querySelector(`[data-timeline="${number}"]`).hidden = !shown.includes(number);
    });
  });
}
