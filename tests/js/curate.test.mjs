import assert from "node:assert/strict";
import test from "node:test";

import { grouped, stepTo } from "../../workbench/panels/curate/static/finding_list.mjs";
import {
  hoverColours,
  plotWidth,
  showPlots,
  withInk,
} from "../../workbench/panels/shared/static/plot_grid.mjs";
import { fake } from "./fakes.mjs";

test("findings stand under their severities, worst first, without empty headings", () => {
  const findings = [
    { kind: "dark", severity: "warning" },
    { kind: "corrupt", severity: "error" },
    { kind: "blurred", severity: "warning" },
  ];
  const groups = grouped(fake(findings)).map((group) => [
    group.heading,
    group.findings.map((finding) => finding.kind),
  ]);
  assert.deepEqual(groups, [
    ["Errors", ["corrupt"]],
    ["Warnings", ["dark", "blurred"]],
  ]);
  assert.deepEqual(grouped([]), []);
});

test("arrows step through the list and stay in it", () => {
  assert.equal(stepTo("ArrowDown", 0, 3), 1);
  assert.equal(stepTo("ArrowDown", 2, 3), 2);
  assert.equal(stepTo("ArrowUp", 0, 3), 0);
  assert.equal(stepTo("End", 0, 3), 2);
  assert.equal(stepTo("Home", 2, 3), 0);
  assert.equal(stepTo("Enter", 1, 3), null);
});

test("plots stand two beside each other only where both have room", () => {
  assert.equal(plotWidth(1000), 494);
  assert.equal(plotWidth(771), 771);
  assert.equal(plotWidth(772), 380);
});

test("tooltips take the page's colours, or plain ones", () => {
  const dark = { "--jp-layout-color1": " #111 ", "--jp-ui-font-color0": "#eee" };
  const style = (colours) => fake({ getPropertyValue: (name) => colours[name] ?? "" });
  assert.deepEqual(hoverColours(style(dark)), {
    bgcolor: "#111",
    bordercolor: "#888",
    font: { color: "#eee" },
  });
  assert.equal(hoverColours(style({})).bgcolor, "#fff");
});

test("letters and lines of a figure take the page's colours, and keep their own elsewhere", () => {
  const style = (colours) => fake({ getPropertyValue: (name) => colours[name] ?? "" });
  const figure = JSON.stringify({
    layout: { font: { color: "#808080" }, xaxis: { gridcolor: "rgba(128, 128, 128, 0.25)" } },
    data: [{ line: { color: "#2a8fd0" }, name: "#808080 and more" }],
  });
  const dark = { "--jp-ui-font-color1": " rgba(255, 255, 255, 0.9)", "--jp-border-color2": "#444" };
  assert.deepEqual(JSON.parse(withInk(figure, style(dark))), {
    layout: { font: { color: "rgba(255, 255, 255, 0.9)" }, xaxis: { gridcolor: "#444" } },
    data: [{ line: { color: "#2a8fd0" }, name: "#808080 and more" }],
  });
  assert.equal(withInk(figure, style({})), figure);
});

test("plots are drawn anew in a theme that comes while they are laid out", async (context) => {
  const element = () => ({
    clientWidth: 900,
    append() {},
    setAttribute() {},
    remove() {},
  });
  const root = element();
  let ink = "black";
  /** @type {string[]} */
  const drawn = [];
  /** @type {(() => void)[]} */
  const frames = [];
  let theme = () => {};
  const globals = fake({
    matchMedia: () => ({ matches: false, addEventListener() {}, removeEventListener() {} }),
    document: { body: {}, createElement: (tag) => (tag === "div" ? root : element()) },
    ResizeObserver: class {
      observe() {}
    },
    MutationObserver: class {
      constructor(changed) {
        theme = changed;
      }
      observe() {}
    },
    requestAnimationFrame: (run) => frames.push(run),
    getComputedStyle: () => ({
      getPropertyValue: (name) => (name === "--jp-ui-font-color1" ? ink : ""),
    }),
    workbenchPlotly: { react: (_place, _data, layout) => drawn.push(layout.font.color) },
    workbenchPlotlyComes: Promise.resolve(),
  });
  Object.assign(globalThis, globals);
  context.after(() => {
    for (const name of Object.keys(globals)) delete fake(globalThis)[name];
  });
  const figures = [JSON.stringify({ data: [], layout: { font: { color: "#808080" } } })];
  showPlots(fake({ model: { get: () => figures, on() {} }, el: element() }));
  await globals.workbenchPlotlyComes;
  assert.deepEqual(drawn, ["black"]);
  // As JupyterLab does it: for a moment there is no room, and no observer is told.
  [ink, root.clientWidth] = ["white", 0];
  theme();
  root.clientWidth = 900;
  for (const run of frames) run();
  assert.deepEqual(drawn, ["black", "white"]);
});
