/**
 * Why there is no picture, in words, and what to do about it. Pure.
 *
 * @typedef {{code: string, title: string, text: string}} Problem
 * @typedef {object} Scope  as much of a page's globals as tells what it may do
 * @property {{userAgent?: string, mediaDevices?: {getUserMedia?: unknown}}} [navigator]
 * @property {boolean} [isSecureContext]
 * @property {unknown} [acquireVsCodeApi]
 * @property {{protocol?: string, host?: string}} [location]
 * @property {unknown} [self]
 * @property {unknown} [top]
 */

/** What this page can know before it asks for a camera. @param {Scope} scope */
export function cameraSurroundings(scope = globalThis) {
  const agent = scope.navigator?.userAgent ?? "";
  return {
    hasDevices: Boolean(scope.navigator?.mediaDevices?.getUserMedia),
    isSecure: scope.isSecureContext !== false,
    isVsCode:
      /\bCode\/|VSCode|vscode/i.test(agent) ||
      Boolean(scope.acquireVsCodeApi) ||
      scope.location?.protocol === "vscode-webview:",
    host: scope.location?.host ?? "",
    isFramed: scope.self !== scope.top,
  };
}

/**
 * @param {{hasDevices: boolean, isSecure: boolean, isVsCode: boolean, host: string}} where
 * @returns {Problem | null} null: a camera may be there
 */
export function surroundingsProblem(where) {
  if (where.isVsCode) {
    return {
      code: "vscode",
      title: "VS Code gives notebooks no camera",
      text: "Open this notebook in JupyterLab in your browser, or use one of these:",
    };
  }
  if (!where.hasDevices && !where.isSecure) {
    const port = where.host.includes(":")
      ? where.host.slice(where.host.lastIndexOf(":") + 1)
      : "80";
    return {
      code: "insecure",
      title: "Browsers allow the camera on secure pages only",
      text:
        `This page came from http://${where.host} without encryption. Remedies: open Jupyter by https; or make a ` +
        `tunnel with “ssh -L ${port}:localhost:${port} …” and open http://localhost:${port}; or use one of these:`,
    };
  }
  if (!where.hasDevices) {
    return {
      code: "unsupported",
      title: "This browser gives pages no camera",
      text: "Another browser may (Chrome, Edge, Firefox and Safari do), or use one of these:",
    };
  }
  return null;
}

/** @type {Record<string, Problem>} */
const KNOWN = {
  NotAllowedError: {
    code: "denied",
    title: "The camera is not allowed on this page",
    text: "Click the camera or lock sign beside the address, allow the camera, then try again. If it says “allowed” there, look in the privacy settings of your system. Or use one of these:",
  },
  NotFoundError: {
    code: "none",
    title: "This machine has no camera",
    text: "Plug one in and try again, or use one of these:",
  },
  NotReadableError: {
    code: "busy",
    title: "The camera is in use",
    text: "Another program or page has it (a video call?). Close that and try again, or use one of these:",
  },
  OverconstrainedError: {
    code: "gone",
    title: "The chosen camera is not there any more",
    text: "Choose another one above and try again, or use one of these:",
  },
};

/** Names that other browsers and older ones have for the same. @type {Record<string, string>} */
const ALSO_CALLED = {
  SecurityError: "NotAllowedError",
  DevicesNotFoundError: "NotFoundError",
  AbortError: "NotReadableError",
  TrackStartError: "NotReadableError",
};

/** Words for an error of getUserMedia. @param {{name?: string, message?: string} | null | undefined} error @returns {Problem} */
export function cameraProblem(error) {
  const name = error?.name ?? "";
  return (
    KNOWN[ALSO_CALLED[name] ?? name] ?? {
      code: "unknown",
      title: "The camera could not be opened",
      text: `The browser says: ${error?.message || error?.name || "nothing"}. Try again, or use one of these:`,
    }
  );
}

export const UNPLUGGED = {
  code: "unplugged",
  title: "The camera was unplugged or taken away",
  text: "All pictures that were saved are there. Plug it in and try again, or use one of these:",
};

export const TAKEN_OVER = {
  code: "elsewhere",
  title: "The camera of another page is used now",
  text: "This panel is open in another tab or on another device, and that one's camera was started. To use this one again:",
};

export const KERNEL_GONE = {
  code: "kernel",
  title: "The kernel was restarted or has died",
  text: "All pictures that were saved are there. The camera is off. Run the cell again to go on.",
};
