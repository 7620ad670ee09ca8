// The parts of Apache ECharts that the report draws with; README.md says how the bundle is made of it.
import { graphic, init, use } from "echarts/core";
import { CustomChart, LineChart } from "echarts/charts";
import {
  DataZoomSliderComponent, GridComponent, LegendScrollComponent, MarkAreaComponent, MarkLineComponent,
  TooltipComponent,
} from "echarts/components";
import { CanvasRenderer } from "echarts/renderers";

use([
  CanvasRenderer, CustomChart, DataZoomSliderComponent, GridComponent, LegendScrollComponent, LineChart,
  MarkAreaComponent, MarkLineComponent, TooltipComponent,
]);

export { graphic, init };
