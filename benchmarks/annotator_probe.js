/**
 * Looks at an annotator of a page after every frame: where is the edge of the box that is
 * being drawn, which picture is painted, what does the line about saving say.
 *
 * The same clockwork for every annotator. A sample is taken in the first task after the
 * frame's `requestAnimationFrame` callbacks, when everything that this frame paints has
 * been painted; its time is when that task runs. Times of input are the events' own
 * time stamps, so that waiting for a busy page counts.
 *
 * Pixels are read where an annotator draws on canvases; where it draws with SVG, the
 * elements are asked where they are, which costs it nothing of the painting.
 *
 * Coordinates are CSS pixels of the page; `picture` is where the whole image is.
 */
window.annotatorProbe = (() => {
  const lens = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const DIFFERENT = 24;

  /** Everything that the canvases below `root` show in a rectangle, as RGBA on white. */
  function pixels(root, { left, top, width, height }) {
    lens.canvas.width = width;
    lens.canvas.height = height;
    lens.fillStyle = "#fff";
    lens.fillRect(0, 0, width, height);
    for (const canvas of root.querySelectorAll("canvas")) {
      const place = canvas.getBoundingClientRect();
      if (!canvas.width || !place.width) continue;
      const [sx, sy] = [canvas.width / place.width, canvas.height / place.height];
      lens.drawImage(
        canvas,
        (left - place.left) * sx,
        (top - place.top) * sy,
        width * sx,
        height * sy,
        0,
        0,
        width,
        height,
      );
    }
    return lens.getImageData(0, 0, width, height).data;
  }

  /** Rightmost column that differs from how the lane looked before; -1 if none does. */
  function changedUpTo(before, now, width) {
    let last = -1;
    for (let i = 0; i < now.length; i += 4) {
      const column = (i / 4) % width;
      if (column <= last) continue;
      for (let c = i; c < i + 3; c += 1)
        if (Math.abs(now[c] - before[c]) > DIFFERENT) last = column;
    }
    return last;
  }

  const drawings = {
    canvas: {
      edge(root, lane) {
        const before = pixels(root, lane);
        return () => {
          const column = changedUpTo(before, pixels(root, lane), lane.width);
          return column < 0 ? -Infinity : lane.left + column;
        };
      },
      colourAt: (root, x, y) => pixels(root, { left: x, top: y, width: 1, height: 1 }),
      hasBox: (root, { left, top }, paper) => {
        // More than one row, as the edge of a suggestion is dashed.
        const edge = pixels(root, { left: left - 3, top: top + 8, width: 7, height: 16 });
        for (let i = 0; i < edge.length; i += 4)
          if (Math.abs(edge[i] - paper) > DIFFERENT) return true;
        return false;
      },
    },
    svg: {
      edge: (root, lane) => () => {
        const rect = [...root.querySelectorAll("svg > g")]
          .at(-1)
          ?.querySelector("rect")
          ?.getBoundingClientRect();
        return rect && rect.top < lane.top && rect.bottom > lane.top ? rect.right : -Infinity;
      },
      colourAt(root, x, y) {
        const image = root.querySelector("img");
        if (!image.complete || !image.naturalWidth) return [0, 0, 0];
        const place = image.getBoundingClientRect();
        const scale = image.naturalWidth / place.width;
        lens.canvas.width = lens.canvas.height = 1;
        lens.drawImage(image, (x - place.left) * scale, (y - place.top) * scale, 1, 1, 0, 0, 1, 1);
        return lens.getImageData(0, 0, 1, 1).data;
      },
      hasBox: (root, { left, top }) =>
        [...root.querySelectorAll("svg > g rect")].some((rect) => {
          const place = rect.getBoundingClientRect();
          return Math.abs(place.left - left) < 3 && Math.abs(place.top - top) < 3;
        }),
    },
  };

  /** Call `look(time)` after every frame until it returns true or `patience` ms are over. */
  function watch(look, patience) {
    const channel = new MessageChannel();
    const end = performance.now() + patience;
    return new Promise((resolve) => {
      channel.port1.onmessage = () => {
        const now = performance.now();
        if (look(now) || now > end) resolve();
        else requestAnimationFrame(() => channel.port2.postMessage(0));
      };
      requestAnimationFrame(() => channel.port2.postMessage(0));
    });
  }

  let moves = [];
  let samples = [];
  let goal = Infinity;
  let watching = null;

  return {
    /** Where the whole image of an annotator is on the page. */
    picture(selector, kind) {
      const root = document.querySelector(selector);
      root.scrollIntoView({ block: "center" });
      const stage = root.querySelector(".wb-stage");
      const place = (
        stage ?? root.querySelector(kind === "svg" ? "img" : "canvas")
      ).getBoundingClientRect();
      if (!stage)
        return { left: place.left, top: place.top, width: place.width, height: place.height };
      const { scale, x, y } = JSON.parse(stage.dataset.viewport);
      return { left: place.left + x, top: place.top + y, scale };
    },

    /** Begin to note moves of the pointer and where the drawn edge is. */
    startDrag({ selector, kind, lane, patience }) {
      const edge = drawings[kind].edge(document.querySelector(selector), lane);
      [moves, samples, goal] = [[], [], Infinity];
      const note = (event) => moves.push([event.timeStamp, event.clientX]);
      window.addEventListener("pointermove", note, { capture: true });
      watching = watch((now) => {
        samples.push([now, edge()]);
        return samples.at(-1)[1] >= goal;
      }, patience).finally(() =>
        window.removeEventListener("pointermove", note, { capture: true }),
      );
    },

    /** Wait until the edge has reached the last move; the moves and samples so far. */
    async endDrag(tolerance) {
      goal = moves.at(-1)[1] - tolerance;
      await watching;
      return { moves, samples };
    },

    /** Note the next key press; resolves to the ms until `colour` and the box are painted. */
    startNext({ selector, kind, patch, colour, box, paper, patience }) {
      const root = document.querySelector(selector);
      let pressed = null;
      let painted = null;
      window.addEventListener("keydown", (event) => (pressed = event.timeStamp), {
        capture: true,
        once: true,
      });
      watching = watch((now) => {
        if (pressed === null) return false;
        const seen = drawings[kind].colourAt(root, patch.left, patch.top);
        if (colour.some((value, i) => Math.abs(seen[i] - value) > 60)) return false;
        if (!drawings[kind].hasBox(root, box, paper)) return false;
        painted = now;
        return true;
      }, patience).then(() => (painted === null ? null : painted - pressed));
    },

    /** Note the next release; resolves to the ms until the annotator says "saved". */
    startSave({ selector, patience }) {
      const line = document.querySelector(`${selector} .wb-save`);
      let released = null;
      let saved = null;
      let wasSaving = false;
      window.addEventListener("pointerup", (event) => (released = event.timeStamp), {
        capture: true,
        once: true,
      });
      const observer = new MutationObserver(() => (wasSaving ||= line.dataset.state === "saving"));
      observer.observe(line, { attributes: true });
      watching = watch((now) => {
        if (released === null || !wasSaving || line.dataset.state !== "saved") return false;
        saved = now;
        return true;
      }, patience).then(() => {
        observer.disconnect();
        return saved === null ? null : saved - released;
      });
    },

    result: () => watching,
  };
})();
