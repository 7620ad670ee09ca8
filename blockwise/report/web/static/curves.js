// Losses and validation accuracies by epoch: a line for each regime, or for each of its blocks in turn.

const DASHES = ["solid", "dashed", "dotted", [8, 3, 2, 3], [2, 2], [12, 4]];

function curveOption(data, field, format) {
  const regimes = [...new Set(data.curves.map((curve) => curve.regime))];
  const blocks = (curve) => data.curves.filter((other) => other.regime === curve.regime).indexOf(curve);
  const title = (curve) => curve.block ? `${curve.regime}, ${curve.block}` : curve.regime;
  const series = data.curves.filter((curve) => curve[field].some((value) => value !== null)).map((curve) => ({
    name: title(curve), type: "line", symbolSize: 6, connectNulls: false,
    data: curve.epochs.map((epoch, index) => [epoch, curve[field][index]]),
    itemStyle: { color: colour("c" + regimes.indexOf(curve.regime) % 8) },
    lineStyle: { type: DASHES[blocks(curve) % DASHES.length], width: 2 },
  }));
  return {
    grid: { left: 56, right: 16, top: 44, bottom: 28 },
    legend: { type: "scroll", top: 0, textStyle: { color: colour("ink") }, pageTextStyle: { color: colour("ink") },
              pageIconColor: colour("ink"), pageIconInactiveColor: colour("line") },
    tooltip: tooltip("axis", (items) => items.length ? `<strong>epoch ${items[0].value[0]}</strong>` + rows(
      items.filter((item) => item.value[1] !== null)
        .map((item) => [item.marker + escaped(item.seriesName), format(item.value[1])]),
    ) : ""),
    xAxis: axis("value", { minInterval: 1, min: 1, max: Math.max(2, ...data.curves.flatMap((curve) => curve.epochs)) }),
    yAxis: axis("value", { scale: true, axisLabel: { color: colour("dim"), formatter: format } }),
    series,
  };
}

function curves(data) {
  const formats = { loss: (v) => Number(v.toPrecision(3)).toString(), validation: (v) => `${(100 * v).toFixed(1)} %` };
  for (const [field, format] of Object.entries(formats)) {
    const figure = document.querySelector(`[data-curve="${field}"]`);
    if (!figure) continue;
    if (data.curves.some((curve) => curve[field].some((value) => value !== null))) {
      chart(figure.querySelector(".chart"), () => curveOption(data, field, format));
    } else {
      figure.hidden = true;
    }
  }
}
