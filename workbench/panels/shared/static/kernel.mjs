/**
 * Whether the kernel is still the one that this widget belongs to. JupyterLab tells; where
 * nobody does, the silence after frames that were sent tells.
 */
/** @import { Model } from "../../types.d.ts" */

const GONE = new Set(["restarting", "autorestarting", "dead", "terminating"]);

/**
 * @param {Pick<Model<unknown>, "widget_manager">} model anywidget's
 * @param {() => void} gone called once
 * @returns {() => void} clean-up
 */
export function onKernelGone(model, gone) {
  const kernel = model.widget_manager?.kernel;
  const signal = kernel?.statusChanged;
  if (!signal?.connect) return () => {};
  /** @param {unknown} _kernel @param {string} status */
  const listen = (_kernel, status) => {
    if (!GONE.has(status)) return;
    signal.disconnect(listen);
    gone();
  };
  signal.connect(listen);
  return () => signal.disconnect(listen);
}
