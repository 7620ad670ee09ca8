// Where every tensor lies, and when: time to the right, addresses upwards, the board's runs end to end.

function tensorTip(data, regime, tensor) {
  const [name, category, owner, shape, bits, bytes, run, offset, first, last] = tensor;
  const found = regime.runs.find((r) => r[0] === run);
  const address = found && found[1] !== null ? `0x${(found[1] + offset).toString(16).padStart(8, "0")}` : "";
  const when = (moment) => escaped(data.names[regime.operations[moment][0]]);
  return `<strong>${escaped(data.names[name])}</strong>` + rows([
    ["category", swatch(data.categories[category]) + escaped(data.categories[category].name)],
    ["block", escaped(data.names[owner])],
    ["shape", `${escaped(data.names[shape])} of ${bits} bits`],
    ["size", `${bytes.toLocaleString("en")} bytes`],
    ["offset", `${offset.toLocaleString("en")} in ${escaped(data.names[run])}`],
    ...(address ? [["address", address]] : []),
    ["alive from", `${first}: ${when(first)}`],
    ["to", `${last}: ${when(last)}`],
  ]);
}

function drawnBox(params, api) {
  const [left, top] = api.coord([api.value(0), api.value(3)]);
  const [right, bottom] = api.coord([api.value(1), api.value(2)]);
  const box = { x: left, y: top, width: Math.max(right - left, 1), height: Math.max(bottom - top, 1) };
  const { x, y, width, height } = params.coordSys;
  const shape = echarts.graphic.clipRectByRect(box, { x, y, width, height });
  return shape && {
    type: "rect", shape, emphasis: { style: { stroke: colour("ink"), lineWidth: 2 } },
    style: { fill: api.visual("color"), stroke: colour("raised"), lineWidth: Math.min(box.width, box.height) > 3 ? 0.5 : 0 },
  };
}

// Beyond the end of the usable RAM: the reserve, and what the board does not have.
function runMarks(data, regime) {
  const label = (text, position) => ({
    show: true, formatter: text, position, color: colour("ink"), fontSize: 11,
    textBorderColor: colour("raised"), textBorderWidth: 3,
  });
  const lines = [], areas = [];
  for (const [name, , position, shown, bytes, reserve] of regime.runs) {
    const run = data.names[name];
    if (position) lines.push({ yAxis: position / KIB, lineStyle: { type: "solid" }, label: { show: false } });
    lines.push({ yAxis: position / KIB, lineStyle: { color: "transparent" }, label: label(`${run}, ${size(bytes)}`, "insideStartTop") });
    if (shown < bytes) continue;
    lines.push({ yAxis: (position + bytes - reserve) / KIB, label: label(`usable RAM ends`, "insideEndTop") });
    const past = [{ yAxis: (position + bytes - reserve) / KIB, name: "" }, { yAxis: (position + bytes) / KIB }];
    if (reserve) areas.push(past);
  }
  return {
    markLine: { symbol: "none", silent: true, lineStyle: { color: colour("ink"), type: "dashed", width: 1.5 }, data: lines },
    markArea: { silent: true, itemStyle: { color: colour("dim"), opacity: 0.25 }, data: areas },
  };
}

function packingOption(data, regime, categories) {
  const starts = new Map(regime.runs.map((run) => [run[0], run[2]]));
  const shown = regime.tensors.filter((t) => categories.includes(t[1]));
  const end = Math.max(...regime.runs.map((run) => run[2] + run[3])) / KIB;
  const boxes = shown.map((t) => {
    const low = starts.get(t[6]) + t[7];
    return { value: [t[8], t[9] + 1, low / KIB, (low + t[5]) / KIB], itemStyle: { color: colour(data.categories[t[1]].colour) } };
  });
  return {
    grid: { left: 60, right: 12, top: 16, bottom: 46 }, dataZoom: zoom(),
    tooltip: tooltip("item", (item) => item.seriesName === "tensors" ? tensorTip(data, regime, shown[item.dataIndex]) : ""),
    xAxis: axis("value", { min: 0, max: regime.operations.length, splitLine: { show: false } }),
    yAxis: axis("value", { min: 0, max: end, axisLabel: { color: colour("dim"), showMaxLabel: false } }),
    series: [
      { name: "tensors", type: "custom", renderItem: drawnBox, encode: { x: [0, 1], y: [2, 3] }, data: boxes, clip: true },
      { name: "runs", type: "line", data: [], ...runMarks(data, regime) },
    ],
  };
}

function packings(data, categories) {
  const made = new Set();
  return oneOf("packing", "packing", (number) => {
    const element = document.querySelector(`[data-packing="${number}"] .chart`);
    if (!element || made.has(number)) return;
    made.add(number);
    chart(element, () => packingOption(data, data.regimes[number], categories()));
  });
}
