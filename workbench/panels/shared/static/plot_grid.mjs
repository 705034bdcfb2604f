/** Plots side by side, drawn by plotly, whose script comes with the widget. */
/** @import { PlotGridModel, View } from "../../types.d.ts" */

/** How wide a plot becomes: two beside each other where there is room for both. @param {number} room */
export function plotWidth(room, gap = 12, least = 380) {
  return room >= 2 * least + gap ? Math.floor((room - gap) / 2) : Math.floor(room);
}

/** plotly's own look of tooltips is white; these take the page's colours. @param {CSSStyleDeclaration} style */
export function hoverColours(style) {
  /** @param {string} name @param {string} other */
  const colour = (name, other) => style.getPropertyValue(name).trim() || other;
  return {
    bgcolor: colour("--jp-layout-color1", "#fff"),
    bordercolor: colour("--jp-border-color1", "#888"),
    font: { color: colour("--jp-ui-font-color0", "#222") },
  };
}

/** What figures have of greys, in words of `workbench.datasets.greys`. */
const TEXT = '"#808080"';
const GRID = '"rgba(128, 128, 128, 0.25)"';

/**
 * A figure with the page's colours of letters and lines; a grey that is legible everywhere is
 * pale everywhere.
 * @param {string} text in JSON @param {CSSStyleDeclaration} style
 * @param {boolean} isForced whether the system chooses the colours, whatever the page wants
 */
export function withInk(text, style, isForced = false) {
  const ink = isForced ? style.color : style.getPropertyValue("--jp-ui-font-color1").trim();
  const line = isForced ? style.color : style.getPropertyValue("--jp-border-color2").trim();
  return text
    .replaceAll(TEXT, ink ? JSON.stringify(ink) : TEXT)
    .replaceAll(GRID, line ? JSON.stringify(line) : GRID);
}

/**
 * Run plotly's script, once for all plots of the page.
 *
 * anywidget gives a widget two seconds to start, too few for 5 MB on a busy machine: so the
 * script is no part of the module, and runs when there is something to draw.
 * @param {string} script @returns {Promise<void>}
 */
function loadPlotly(script) {
  globalThis.workbenchPlotlyComes ??= new Promise((resolve, reject) => {
    const url = URL.createObjectURL(new Blob([script], { type: "text/javascript;charset=utf-8" }));
    const element = document.createElement("script");
    /** @param {(value?: any) => void} tell @param {Error} [value] */
    const end = (tell, value = undefined) => {
      URL.revokeObjectURL(url);
      element.remove();
      tell(value);
    };
    element.onload = () => end(resolve);
    element.onerror = () => {
      globalThis.workbenchPlotlyComes = undefined; // the next plots try again
      end(reject, new Error("the browser did not run their script"));
    };
    element.src = url;
    document.head.append(element);
  });
  return globalThis.workbenchPlotlyComes;
}

/** @param {View<PlotGridModel>} view */
export function showPlots({ model, el }) {
  const root = document.createElement("div");
  root.className = "wb-plots";
  el.append(root);
  /** @type {HTMLElement[]} */
  const plots = [];
  const forced = matchMedia("(forced-colors: active)");

  let drawnWidth = 0;
  const draw = () => {
    const plotly = globalThis.workbenchPlotly;
    if (!plotly) return; // it comes, see below
    const width = plotWidth(root.clientWidth);
    if (width < 50) return; // on a page that is not shown
    const style = getComputedStyle(root);
    const hoverlabel = hoverColours(style);
    const figures = model.get("figures");
    for (const last of plots.splice(figures.length)) {
      plotly.purge(last);
      last.remove();
    }
    figures.forEach((text, place) => {
      const figure = JSON.parse(withInk(text, style, forced.matches));
      if (!plots[place]) {
        plots[place] = document.createElement("figure");
        plots[place].className = "wb-plot";
        root.append(plots[place]);
      }
      const title = figure.layout?.title?.text ?? "";
      plots[place].setAttribute("aria-label", `${title}; the tables above have its numbers`);
      const layout = { ...figure.layout, width, hoverlabel };
      plotly.react(plots[place], figure.data, layout, {
        displaylogo: false,
        // Named one by one: plotly has buttons that send a figure to its own service.
        modeBarButtons: [["toImage", "resetScale2d"]],
      });
    });
  };

  const observer = new ResizeObserver(() => {
    if (root.clientWidth === drawnWidth) return;
    drawnWidth = root.clientWidth;
    draw();
  });
  observer.observe(root);
  // JupyterLab lays its widgets out anew while it changes the theme: until the next frame they have
  // no width, and after it the width that they had, of which no observer is told.
  const redraw = () => requestAnimationFrame(draw);
  const themes = new MutationObserver(redraw);
  themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name"] });
  forced.addEventListener("change", redraw);
  model.on("change:figures", draw);
  loadPlotly(model.get("script")).then(draw, (error) => {
    root.textContent = `The plots cannot be drawn: ${error.message}`;
  });
  return () => {
    observer.disconnect();
    themes.disconnect();
    forced.removeEventListener("change", redraw);
    model.off("change:figures", draw);
    for (const plot of plots) globalThis.workbenchPlotly?.purge(plot);
  };
}

export default function plotGrid() {
  return { render: showPlots };
}
