/**
 * One view of a session: the elements, the viewport, and painting when the browser asks.
 *
 * A moving pointer only marks layers as stale; `requestAnimationFrame` paints them before
 * the very next frame, so that a drawn box is never more than a frame behind the hand.
 */
/** @import { CanvasModel, Failure, Size } from "../../types.d.ts" */

import { createContextMenu } from "../../shared/static/context_menu.mjs";
import { activeWithin, make } from "../../shared/static/dom.mjs";
import { attachBoxMenu } from "./box_menu.mjs";
import { createClassList } from "./classes.mjs";
import {
  createCommands,
  FIRST_IMAGE,
  HAS_BOXES,
  LAST_IMAGE,
  NONE_SELECTED,
  NOTHING_TO_REDO,
  nothingToUndo,
} from "./commands.mjs";
import { labelText } from "./draw.mjs";
import { createFilmstrip } from "./filmstrip.mjs";
import {
  boxesAt,
  centred,
  FIT_MARGIN,
  fitViewport,
  inSight,
  keepInSight,
  toImage,
  zoomAt,
} from "./geometry.mjs";
import { createHelp, createHint, createNotice } from "./help.mjs";
import { attachPointer } from "./input.mjs";
import { attachKeyboard } from "./keyboard.mjs";
import { createObjectList } from "./objects.mjs";
import { createPainter, describeReduction } from "./painting.mjs";
import { fitRoom } from "./room.mjs";
import { currentNotice, describeCount, describeProgress, isBackground } from "./situation.mjs";
import { createSuggestMenu } from "./suggest_menu.mjs";
import { createReviewBar, createStatusLine, createToolbar } from "./toolbar.mjs";

/** What the bar of the review takes at the bottom of the stage while it is one row, in CSS pixels. */
const REVIEW_ROOM = 52;
/** Below and above the bar. */
const BAR_MARGIN = 12;

/**
 * @typedef {"picture"|"boxes"|"active"|"controls"|"status"} Layer  what is painted or written anew
 *
 * @param {CanvasModel} model anywidget's model: traits only, messages go through the session
 * @param {import("./commands.mjs").Session} session
 * @param {HTMLElement} host
 * @returns {() => void} clean-up
 */
export function mountView(model, session, host) {
  const { state } = session;
  /** @param {string} name */
  const layer = (name) => make("canvas", { class: `wb-layer wb-${name}`, "aria-hidden": "true" });
  const layers = { picture: layer("picture"), boxes: layer("boxes"), active: layer("active") };
  const notice = createNotice();
  const hint = createHint();
  const live = make("div", { class: "wb-live", "aria-live": "polite" });
  const stageElement = make(
    "div",
    {
      class: "wb-stage",
      tabindex: "0",
      role: "application",
      "aria-label": "Picture with boxes. Press ? for the keys.",
      "aria-roledescription": "box annotator",
    },
    ...Object.values(layers),
  );

  const painter = createPainter({ layers, stageElement, model, session });
  let size = { width: 1, height: 1 };
  let viewport = { scale: 1, x: 0, y: 0 };
  let isFitted = true;
  /** @type {import("./input.mjs").Preview|null} */
  let preview = null;
  /** @type {import("./geometry.mjs").Point|null} */
  let pointer = null;
  /** It has not moved since something was selected or another image came: it aims at nothing. */
  let rests = true;
  let crosshair = false;
  let request = 0;
  /** @type {Failure|null} */
  let shownFailure = null;
  let isFirst = true;
  /** @type {Set<Layer>} */
  const stale = new Set();

  /** @param {...Layer} names */
  const mark = (...names) => {
    for (const name of names) stale.add(name);
    request ||= requestAnimationFrame(paint);
  };
  /** @returns {Size} */
  const image = () => ({ width: state.frame?.width ?? 0, height: state.frame?.height ?? 0 });
  const names = () => model.get("classes");
  const colours = () => model.get("colours");
  /** @param {string} text */
  const say = (text) => {
    live.textContent = text;
  };
  const focusStage = () => stageElement.focus({ preventScroll: true });

  let barHeight = 0; // as it was when the bar was seen last: on a phone it is several rows
  const roomOfBar = () => Math.max(REVIEW_ROOM, barHeight + BAR_MARGIN);
  let isBarBelow = false; // as it was when the picture was fitted: none moves while it is reviewed
  /** As large as there is room for, with the bar of the review below it. */
  const fitted = () =>
    fitViewport(image(), { ...size, height: size.height - (isBarBelow ? roomOfBar() : 0) });
  const fitAgain = () => {
    isBarBelow = session.boxes().some((box) => box.proposal);
    stage.setViewport(fitted(), true);
  };

  const stage = {
    /** @returns {import("./geometry.mjs").Viewport} */
    get viewport() {
      return viewport;
    },
    /** @param {import("./geometry.mjs").Viewport} next */
    setViewport(next, fitted = false) {
      if (!state.frame) return;
      viewport = keepInSight(next, image(), size);
      isFitted = fitted;
      mark("picture", "boxes", "active", "status");
    },
    /** @param {number} factor @param {import("./geometry.mjs").Point} at */
    zoom(factor, at) {
      if (!state.frame) return;
      const minScale = Math.min(fitViewport(image(), size).scale / 4, 1);
      stage.setViewport(zoomAt(viewport, factor, at, minScale));
    },
    /** @param {import("./input.mjs").Preview|null} next */
    preview(next) {
      /** @param {import("./input.mjs").Preview|null} value */
      const hidden = (value) => [...(value?.hide ?? [])].join();
      if (hidden(next) !== hidden(preview)) mark("boxes");
      preview = next;
      mark("active");
    },
    /** @param {import("./geometry.mjs").Point|null} point */
    pointer(point) {
      pointer = point;
      rests = false;
      mark("status");
      if (crosshair || session.boxes().some((box) => box.proposal)) mark("active");
    },
    hasClass() {
      if (names().length || !model.get("walks")) return true;
      const text = "Name a class first: type it and press Enter. Then draw.";
      tell(text);
      // After the press that began this, which gives the focus to the stage.
      setTimeout(() => classes.focus());
      return false;
    },
    say,
  };

  /** The prediction that the pointer is on: the smallest, as a click would select it. */
  function aimed() {
    if (rests || !pointer || preview || state.selection.size || !state.frame?.editable) return null;
    const free = session
      .boxes()
      .filter((box) => box.proposal && session.isShown(box) && !state.locked.has(box.id));
    return boxesAt(free, toImage(viewport, pointer))[0] ?? null;
  }

  const commands = createCommands(session, {
    zoomBy: (factor) => stage.zoom(factor, pointer ?? { x: size.width / 2, y: size.height / 2 }),
    fit: fitAgain,
    actualSize: () => {
      const scale = 1 / devicePixelRatio;
      const middle = { x: size.width / 2, y: size.height / 2 };
      stage.setViewport(
        isFitted
          ? centred(image(), size, scale)
          : zoomAt(viewport, scale / viewport.scale, middle, scale),
      );
    },
    visible: () => {
      const from = toImage(viewport, { x: 0, y: 0 });
      const to = toImage(viewport, { x: size.width, y: size.height });
      const { width, height } = image();
      return [
        Math.max(from.x, 0),
        Math.max(from.y, 0),
        Math.min(to.x, width),
        Math.min(to.y, height),
      ];
    },
    breakOff: () => hand.cancel(),
    walks: () => model.get("walks"),
    toggleCrosshair: () => {
      crosshair = !crosshair;
      mark("active", "controls");
    },
    toggleHelp: () => help.toggle(),
    findClass: () => classes.focus(),
    openMenu: () => boxMenu.open(),
    aimed,
    pointerAt: () => (pointer && state.frame ? pointedAt(pointer, state.frame) : null),
    openSuggestions: () => (model.get("work") ? session.suggest() : suggestMenu.open()),
    toggleObjects() {
      objects.toggle(!objects.isOpen());
      mark("controls");
    },
    toggleFilmstrip() {
      filmstrip.toggle(!filmstrip.isOpen());
      mark("controls");
    },
    toggleFullScreen: () => room.toggleFull(),
    leave: () => "pass",
    tell,
  });

  /** @param {string} text to eyes and ears */
  function tell(text) {
    say(text);
    hint.show(text);
  }

  /** Image pixels, or null beyond its edges. @param {import("./geometry.mjs").Point} point @param {Size} within */
  function pointedAt(point, within) {
    const at = toImage(viewport, point);
    const isInside = at.x >= 0 && at.y >= 0 && at.x <= within.width && at.y <= within.height;
    return isInside ? at : null;
  }

  /** Class that is on its way into the dataset; then it becomes that of what is selected. */
  let newClass = "";
  /** @param {string} name */
  function addClass(name) {
    newClass = name;
    session.addClass(name);
  }
  const classes = createClassList({
    names,
    colours,
    pick: commands.setClass,
    leave: focusStage,
    add: model.get("walks") ? addClass : null,
  });
  const menu = createContextMenu({ leave: focusStage });
  const boxMenu = attachBoxMenu(stageElement, menu, session, commands, {
    names,
    colours,
    bindings: () => model.get("bindings"),
    walks: () => model.get("walks"),
    viewport: () => viewport,
    size: () => size,
    opening: () => hand.cancel(),
  });
  const suggestMenu = createSuggestMenu(menu, session, {
    names,
    bindings: () => model.get("bindings"),
    elsewhere: () => model.get("elsewhere"),
    opening: () => hand.cancel(),
  });
  const objects = createObjectList({
    select(id, adding) {
      const others = adding ? [...state.selection].filter((other) => other !== id) : [];
      session.select(adding && state.selection.has(id) ? others : [...others, id]);
      const box = session.boxes().find((one) => one.id === id);
      if (box) stage.setViewport(inSight(viewport, box.xyxy, size), isFitted);
    },
    toggle: (what, id) =>
      session.update((s) => {
        if (!s[what].delete(id)) s[what].add(id);
      }),
    menu(id, at) {
      if (!state.selection.has(id)) session.select([id]);
      boxMenu.open(at);
    },
    leave: focusStage,
  });
  const filmstrip = createFilmstrip({
    ask: (first, count) => session.strip.ask(state.walk, first, count),
    at: session.strip.at,
    go: (index) => session.go(index),
    leave: focusStage,
  });
  const help = createHelp({
    bindings: () => model.get("bindings"),
    texts: () => model.get("actions"),
    leave: focusStage,
  });
  /** @param {"brightness"|"contrast"} name @param {number} value */
  const light = (name, value) => {
    model.set(`image_${name}`, value);
    model.save_changes();
  };
  const toolbar = createToolbar({
    run: (action) => {
      commands.run(action);
      // After a click from elsewhere on the page: the next key is meant for the picture.
      if (!root.contains(activeWithin(root))) focusStage();
    },
    bindings: () => model.get("bindings"),
    go: (index) => Number.isInteger(index) && session.go(index),
    leave: focusStage,
    walks: () => model.get("walks"),
    canTeach: () => model.get("can_teach"),
    light,
  });
  /** @param {number} threshold @param {Record<number, number>} ofClass */
  const setThresholds = (threshold, ofClass) => {
    session.setThreshold(threshold, ofClass);
    model.set("threshold", threshold);
    model.set(
      "class_thresholds",
      Object.fromEntries(Object.entries(ofClass).map(([id, score]) => [names()[+id], score])),
    );
  };
  /** What an evaluation offers, by class id. @returns {Record<number, number>} */
  const best = () => {
    const offered = Object.entries(model.get("best_thresholds"));
    const known = offered.filter(([name]) => names().includes(name));
    return Object.fromEntries(known.map(([name, score]) => [names().indexOf(name), score]));
  };
  const review = createReviewBar({
    run: (action) => answer(() => commands.run(action)),
    setThreshold: (threshold, cls) =>
      cls === null
        ? setThresholds(threshold, {})
        : setThresholds(state.threshold, { ...state.classThresholds, [cls]: threshold }),
    useBest() {
      setThresholds(state.threshold, { ...state.classThresholds, ...best() });
      model.save_changes();
      focusStage();
    },
    done() {
      model.save_changes();
      focusStage();
    },
  });
  const statusLine = createStatusLine();
  const frame = make(
    "div",
    { class: "wb-frame" },
    stageElement,
    review.element,
    notice.element,
    hint.element,
    help.element,
    menu.element,
  );
  const main = make(
    "div",
    { class: "wb-main" },
    frame,
    make("div", { class: "wb-side" }, classes.element, objects.element),
  );
  const root = make(
    "div",
    { class: "wb-annotate" },
    toolbar.element,
    main,
    filmstrip.element,
    statusLine.element,
    live,
  );
  host.append(root);

  objects.toggle(true);
  const room = fitRoom(root, main, {
    wanted: () => model.get("canvas_height"),
    // On a narrow page the lists stand below the picture.
    others: () => main.clientHeight - frame.clientHeight + roomOfBar() - REVIEW_ROOM,
    tell,
    changed: () => mark("controls"),
  });

  const hand = attachPointer(stageElement, stage, session);
  const keyboard = attachKeyboard(root, stageElement, { model, commands, session, hand });

  function paint() {
    request = 0;
    const todo = new Set(stale);
    stale.clear();
    const sight = { size, viewport, ratio: devicePixelRatio };
    if (todo.has("picture")) painter.picture(sight);
    if (todo.has("boxes")) painter.boxes(sight, preview);
    if (todo.has("active")) painter.active(sight, preview, crosshair ? pointer : null, aimed());
    if (todo.has("controls")) updateControls();
    if (todo.has("status") || todo.has("controls")) updateStatus();
  }

  function updateControls() {
    const boxes = session.boxes();
    /** @type {Map<number, number>} */
    const counts = new Map();
    const sure = boxes.filter(session.isSure);
    for (const box of sure) counts.set(box.cls, (counts.get(box.cls) ?? 0) + 1);
    const [only] =
      state.selection.size === 1 ? boxes.filter((box) => state.selection.has(box.id)) : [];
    classes.update({ current: only?.cls ?? state.currentClass, counts });
    objects.update({
      boxes: sure,
      names: names(),
      colours: colours(),
      selection: state.selection,
      locked: state.locked,
      hidden: state.hidden,
    });
    // What the kernel says of the images is asked for again when one more is labelled.
    const stamp = `${state.walk} ${state.labelled}`;
    filmstrip.update({ index: Math.max(session.target(), 0), total: state.total, stamp });
    const editable = Boolean(state.frame?.editable);
    const has = state.selection.size > 0;
    const index = session.target();
    /** @param {string|false} other */
    const why = (other) =>
      editable ? other || "" : state.frame?.problem || "There is no image to change.";
    toolbar.update({
      index,
      total: state.total,
      brightness: model.get("image_brightness"),
      contrast: model.get("image_contrast"),
      pressed: {
        crosshair,
        "select-mode": state.selecting,
        objects: objects.isOpen(),
        filmstrip: filmstrip.isOpen(),
        "full-screen": room.isFull(),
        hide: boxes.some((box) => state.hidden.has(box.id)),
        "nothing-here": isBackground(session),
        find: Boolean(model.get("work")),
        teach: model.get("teaches"),
      },
      whyNot: {
        previous: index > 0 ? "" : FIRST_IMAGE,
        next: index < state.total - 1 ? "" : LAST_IMAGE,
        undo: session.canUndo() ? "" : nothingToUndo(session),
        redo: session.canRedo() ? "" : NOTHING_TO_REDO,
        delete: why(!has && NONE_SELECTED),
        duplicate: why(!has && NONE_SELECTED),
        "nothing-here": why(!boxes.every((box) => box.proposal) && HAS_BOXES),
      },
    });
    const proposals = boxes.filter((box) => box.proposal);
    review.update({
      all: proposals.length,
      shown: proposals.filter(session.isShown).length,
      selected: proposals.filter((box) => state.selection.has(box.id)).length,
      threshold: state.threshold,
      ofClass: state.classThresholds,
      classes: model.get("classes"),
      best: best(),
      bestFrom: model.get("best_from"),
    });
    notice.update(currentNotice(model, session, answer));
  }

  /** Do what a button of the notice says; the button goes, so the stage takes the focus. @param {() => void} act */
  function answer(act) {
    act();
    focusStage();
  }

  function updateStatus() {
    const { frame } = state;
    const boxes = session.boxes();
    const proposals = boxes.filter((box) => box.proposal);
    const waiting = proposals.filter(session.isShown).length;
    const at = pointer && frame ? pointedAt(pointer, frame) : null;
    const count = boxes.length - proposals.length;
    statusLine.update({
      name: frame?.name ?? "",
      size: frame?.width ? `${frame.width} × ${frame.height}${describeReduction(state)}` : "",
      boxes: frame ? describeCount(session, count, waiting) : "",
      zoom: frame?.width
        ? `${Math.round(viewport.scale * devicePixelRatio * 100)}%${at ? ` · ${Math.floor(at.x)}, ${Math.floor(at.y)}` : ""}`
        : "",
      progress:
        model.get("walks") && state.total
          ? describeProgress(state, model.get("work"), model.get("taught"))
          : "",
      saving: savingShown(),
    });
  }

  /** Where no image was ever open, nothing was saved: no green word beside an error. */
  function savingShown() {
    const saving = session.saving();
    return state.frame || saving.state !== "saved"
      ? saving
      : { state: /** @type {const} */ (""), why: "" };
  }

  function announceSelection() {
    const boxes = session.boxes();
    const chosen = boxes.filter((box) => state.selection.has(box.id));
    if (chosen.length > 1) say(`${chosen.length} boxes selected`);
    else if (chosen.length === 1) {
      const [left, top, right, bottom] = chosen[0].xyxy.map(Math.round);
      say(
        `${labelText(chosen[0], names(), state.locked.has(chosen[0].id))}, box ${boxes.indexOf(chosen[0]) + 1} of ${boxes.length}, from ${left}, ${top} to ${right}, ${bottom}`,
      );
    } else say("");
  }

  const unsubscribe = session.subscribe((what) => {
    if (what === "strip") return filmstrip.refresh();
    if (what === "frame") {
      hand.cancel();
      menu.close();
      if (state.frame?.width) fitAgain();
      // Opened from elsewhere, by keys perhaps: they go on working here.
      if (
        state.frame &&
        isFirst &&
        model.get("autofocus") &&
        document.activeElement === document.body
      )
        focusStage();
      if (state.frame) isFirst = false;
      if (state.frame)
        say(`${state.frame.name}, ${describeCount(session, session.boxes().length)}`);
      mark("picture");
    }
    if (what === "picture") mark("picture");
    if (what === "frame" || state.selection.size) rests = true;
    if (what === "selection") announceSelection();
    if (what === "boxes" && state.frame) {
      if (state.selection.size) announceSelection();
      else say(`${describeCount(session, session.boxes().length)} on this image`);
    }
    if (what === "start") {
      tell(nothingToUndo(session));
    }
    // Painting costs milliseconds before the next answer can be shown: only what has changed.
    const failure = state.frame && session.outbox.failure(state.frame.key);
    if (what !== "status") mark("boxes", "active");
    else if (failure !== shownFailure) mark("boxes");
    shownFailure = failure;
    mark("controls", "status");
  });

  const observer = new ResizeObserver(() => {
    const next = { width: stageElement.clientWidth, height: stageElement.clientHeight };
    if (next.width === size.width && next.height === size.height) return;
    const middle = toImage(viewport, { x: size.width / 2, y: size.height / 2 });
    size = next;
    menu.close(); // it was opened at a place that is another one now
    const room = { width: size.width - 2 * FIT_MARGIN, height: size.height - 2 * FIT_MARGIN };
    session.setStage({
      width: room.width * devicePixelRatio,
      height: room.height * devicePixelRatio,
    });
    if (state.frame?.width && isFitted) viewport = fitted();
    else
      viewport = {
        scale: viewport.scale,
        x: size.width / 2 - middle.x * viewport.scale,
        y: size.height / 2 - middle.y * viewport.scale,
      };
    mark("picture", "boxes", "active", "status");
  });
  observer.observe(stageElement);
  const barObserver = new ResizeObserver(() => {
    const { offsetHeight } = review.element;
    if (!offsetHeight || offsetHeight === barHeight) return; // it is away, or as it was
    barHeight = offsetHeight;
    room.fit();
    if (!state.frame?.width || !isFitted || !isBarBelow) return;
    viewport = fitted();
    mark("picture", "boxes", "active", "status");
  });
  barObserver.observe(review.element);

  const takeNewClass = () => {
    const index = names().indexOf(newClass);
    if (newClass === "" || index < 0) return;
    newClass = "";
    commands.setClass(index);
  };
  model.on("change:classes", takeNewClass);

  const repaint = () => {
    layers.picture.style.filter = `brightness(${model.get("image_brightness")}) contrast(${model.get("image_contrast")})`;
    classes.refresh();
    mark("picture", "boxes", "active", "controls");
  };
  const watched = [
    "classes",
    "colours",
    "opacity",
    "image_brightness",
    "image_contrast",
    "bindings",
    "notice",
    "offer",
    "work",
    "teaches",
    "taught",
    "best_thresholds",
  ].map((name) => /** @type {const} */ (`change:${name}`));
  for (const name of watched) model.on(name, repaint);
  model.on("change:canvas_height", room.reset);
  window.addEventListener("resize", repaint);
  repaint();

  return () => {
    unsubscribe();
    observer.disconnect();
    barObserver.disconnect();
    hand.close();
    keyboard.close();
    hint.close();
    cancelAnimationFrame(request);
    for (const name of watched) model.off(name, repaint);
    model.off("change:classes", takeNewClass);
    model.off("change:canvas_height", room.reset);
    room.close();
    objects.close();
    filmstrip.close();
    window.removeEventListener("resize", repaint);
    root.remove();
  };
}
