/**
 * What one page knows of a canvas: the image shown, its boxes with their history, the
 * selection, and the conversation with the kernel. Views draw it and call its methods.
 *
 * The way of a finished edit:
 * 1. a view calls `edit(what, boxes)`;
 * 2. the history takes the new state, every view redraws;
 * 3. the outbox sends the state with the image's key and revision, and keeps a copy;
 * 4. the kernel answers `saved` with the new revision, or `not_saved` with the reason;
 * 5. `not_saved` becomes a notice with buttons: "mine" sends the edit again, agreed and
 *    based on the revision that is there; "theirs" drops it and asks for the file's boxes.
 */
/** @import { CanvasReceived, CanvasSent, Frame, FrameMessage, LabelsMessage, Row, SavedMessage, Size, SuggestedMessage, TrailMessage } from "../../types.d.ts" */

import { KERNEL_GONE } from "../../shared/static/kernel.mjs";
import { createAsking } from "./asking.mjs";
import { idNow, withIdsNow } from "./class_ids.mjs";
import { among, toProposalRows, toRows, withoutCovered } from "./document.mjs";
import { createDocuments, isLabelled } from "./documents.mjs";
import { createFrames } from "./frames.mjs";
import { amend, commit, redo, undo } from "./history.mjs";
import { createOutbox } from "./outbox.mjs";
import { createStrip } from "./strip.mjs";
import { createTrails } from "./trail.mjs";

/** Milliseconds after which an unanswered edit counts as not saved and goes out again. */
const PATIENCE = 5000;
const SILENCE =
  "The kernel does not answer. Your edits are kept in this browser; they are saved when it " +
  "answers, or when the panel is shown again.";
const KEPT = "Your edits are kept in this browser, and saved then.";
/** Milliseconds within which nudges with the arrow keys count as one step. */
const MERGE_WITHIN = 1000;

/**
 * What the class ids of boxes mean.
 * @param {Box[]} boxes @param {string[]} names @returns {Record<string, string>}
 */
function namesOf(boxes, names) {
  const used = new Set(boxes.map((box) => box.cls));
  return Object.fromEntries([...used].filter((id) => id in names).map((id) => [id, names[id]]));
}

/** File name in a key. @param {string} key */
const nameOf = (key) => key.slice(key.lastIndexOf("/") + 1);

/**
 * @typedef {import("./document.mjs").Box} Box
 * @typedef {import("./documents.mjs").BoxHistory} BoxHistory
 * @typedef {"frame"|"picture"|"boxes"|"selection"|"status"|"submit"|"start"|"strip"} Change  what views redraw;
 *   "start": undo was asked for, and there is nothing before
 * @typedef {object} State  what a page shows
 * @property {Frame|null} frame
 * @property {ImageBitmap|null} bitmap the image at the size of the stage
 * @property {ImageBitmap|null} full all its pixels, for zooming; a while later
 * @property {boolean} loading
 * @property {string} gone what has become of the kernel; "": it is there
 * @property {{why: string, at: number}|null} notShown why the image that is wanted does not come yet
 * @property {number} walk number of the walk that is shown
 * @property {number} total images in it
 * @property {number} labelled of them
 * @property {number} toReview of them, with predictions at or above the threshold
 * @property {Set<number>} selection ids of boxes
 * @property {number|null} drawn the selected box if the hand has just drawn it: it takes class keys, and has no handles
 * @property {boolean} selecting whether a drag selects and moves boxes, in place of drawing one
 * @property {number} threshold score from which on predictions are shown
 * @property {Record<number, number>} classThresholds the same for some classes, in place of it
 * @property {Set<number>} hidden
 * @property {Set<number>} locked
 * @property {number} currentClass of boxes that are drawn next
 * @property {Box[]} clipboard copied boxes, also across images
 * @property {Box[]} previousBoxes boxes of the image shown before, for "copy from previous"
 *
 * @typedef {CanvasSent extends infer Message ? Message extends {session: string} ? Omit<Message, "session"> : never : never} Post
 *
 * @param {object} options
 * @param {(message: CanvasSent) => void} options.send
 * @param {Storage|null} options.storage
 * @param {(blob: Blob, size: Size|null) => Promise<ImageBitmap>} options.decode
 * @param {() => number} options.now
 * @param {string} options.id of this page's session
 * @param {() => string[]} [options.names] of the classes
 */
export function createSession({ send, storage, decode, now, id, names = () => [] }) {
  /** @type {Set<(what: Change) => void>} */
  const listeners = new Set();
  const frames = createFrames(decode);
  /** @param {Post} message */
  const post = (message) => send(/** @type {CanvasSent} */ ({ ...message, session: id }));
  const outbox = createOutbox({ send: post, storage, now, changed: () => notify("status") });
  const strip = createStrip({ post, now });
  const documents = createDocuments((key) => outbox.unsaved(key));
  const trails = createTrails({
    ask: (key) => post({ kind: "want_trail", key }),
    isSettled: (key) => !outbox.unsaved(key),
    now,
  });
  /** @type {Map<string, number>} */
  const wanted = new Map();
  /** Device pixels that there are for an image; until a view says, enough for most screens. */
  let stage = { width: 1600, height: 1200 };
  let target = -1;
  let goSeq = 0;
  let showSerial = 0;
  let lastMark = "";
  let lastEdit = 0;

  /** @type {State} */
  const state = {
    frame: null,
    bitmap: null,
    full: null,
    loading: true,
    gone: "",
    notShown: null,
    walk: 0,
    total: 0,
    labelled: 0,
    toReview: 0,
    selection: new Set(),
    drawn: null,
    selecting: false,
    threshold: 0,
    classThresholds: {},
    hidden: new Set(),
    locked: new Set(),
    currentClass: 0,
    clipboard: [],
    previousBoxes: [],
  };

  /** @param {Change} what */
  function notify(what) {
    for (const listener of listeners) listener(what);
  }

  function current() {
    return state.frame ? documents.get(state.frame.key) : null;
  }

  function boxes() {
    return current()?.present.state ?? [];
  }

  /** Whether a box is a label, or a prediction at or above the threshold. @param {Box} box */
  function isSure({ cls, proposal }) {
    return !proposal || proposal.score >= (state.classThresholds[cls] ?? state.threshold);
  }

  /** Whether a box is to be seen and reached. @param {Box} box */
  const isShown = (box) => isSure(box) && !state.hidden.has(box.id);

  /** @param {import("./frames.mjs").Entry} entry */
  function show(entry) {
    const changed = state.frame?.key !== entry.frame.key;
    if (changed) {
      state.previousBoxes = state.frame ? boxes().filter((box) => !box.proposal) : [];
      state.selection = new Set();
    }
    state.frame = entry.frame;
    state.bitmap = entry.bitmap;
    state.full = entry.full;
    state.loading = false;
    state.notShown = null;
    target = entry.frame.index;
    forgetLostSelection();
    notify(changed ? "frame" : "picture");
    prefetch();
  }

  function askForTarget() {
    const entry = frames.at(state.walk, target);
    const have = entry?.bitmap ? entry.frame.token : null;
    post({ kind: "go", seq: goSeq, walk: state.walk, index: target, have });
  }

  /** @param {{index: number, why: string}} message */
  function receiveNotShown({ index, why }) {
    if (index !== target) return;
    state.notShown = { why, at: now() };
    notify("status");
  }

  function prefetch() {
    for (const index of [target + 1, target - 1, target + 2]) {
      if (index < 0 || index >= state.total || frames.at(state.walk, index)?.bitmap) continue;
      want(index);
    }
  }

  /** @param {number} index */
  function want(index) {
    const mark = `${state.walk}/${index}`;
    if (now() - (wanted.get(mark) ?? -Infinity) < PATIENCE) return;
    wanted.set(mark, now());
    post({ kind: "want", index, walk: state.walk });
  }

  function forgetLostSelection() {
    const ids = new Set(boxes().map((box) => box.id));
    state.selection = new Set([...state.selection].filter((id) => ids.has(id)));
  }

  /** @param {string} what */
  function put(what) {
    const { frame } = state;
    const present = current()?.present;
    if (!frame || !present) return;
    const base = outbox.unsaved(frame.key)?.revision ?? frame.revision;
    const waiting = toProposalRows(boxes());
    const waits = among(waiting);
    const gone = frame.proposals.filter((row) => !waits(row));
    outbox.put(
      frame.key,
      {
        revision: base,
        boxes: toRows(boxes()),
        labelled: present.labelled,
        proposals: waiting.length || frame.proposals.length ? waiting : null,
        ...(gone.length ? { gone } : {}),
        what,
        names: namesOf(boxes(), names()),
      },
      frame.keep,
    );
  }

  /** @param {FrameMessage} message @param {DataView<ArrayBuffer>|undefined} bytes */
  async function receiveFrame(message, bytes) {
    const { frame } = message;
    state.total = message.total;
    state.labelled = message.labelled;
    state.toReview = message.to_review;
    state.walk = frame.walk;
    wanted.delete(`${frame.walk}/${frame.index}`);
    if (bytes) post({ kind: "got", id: message.id });
    const isOutdated = message.cause?.session === id && message.cause.seq < goSeq;
    const isMeant = message.show && !isOutdated;
    if (isMeant) showSerial += 1;
    const serial = showSerial;
    // At once, before the bytes are decoded: an answer to an edit may be the next message.
    if (message.show || documents.has(frame.key) || outbox.unsaved(frame.key))
      documents.reconcile(frame);
    const entry = await frames.put(frame, bytes, stage, () => state.frame?.key ?? null);
    if (frames.get(frame.key) !== entry) return;
    if (entry.failed && !message.plain) post({ kind: "want", key: frame.key, plain: true });
    const isAwaited = target === frame.index && (state.loading || state.frame?.key === frame.key);
    if ((isMeant && serial === showSerial) || isAwaited) {
      if (!entry.bitmap && !entry.failed && frame.width > 0) want(frame.index);
      if (!documents.has(frame.key)) documents.reconcile(entry.frame);
      show(entry);
    }
    notify("status");
  }

  /** Have all pixels of the image that is shown decoded. */
  async function sharpen() {
    const { frame, bitmap } = state;
    if (!frame || !bitmap || state.full) return;
    const full = await frames.sharpen(frame.key);
    if (!full || state.bitmap !== bitmap) return;
    state.full = full;
    notify("picture");
  }

  /** Take up edits that an earlier page could not deliver; they can be undone. @param {string} scope */
  function recover(scope) {
    for (const key of outbox.recover(scope)) documents.recover(key);
    notify("boxes");
  }

  function receiveEmpty() {
    Object.assign(state, {
      frame: null,
      bitmap: null,
      full: null,
      loading: false,
      total: 0,
      labelled: 0,
      selection: new Set(),
    });
    target = -1;
    notify("frame");
  }

  /** @param {SavedMessage} message */
  function receiveSaved(message) {
    state.labelled = message.labelled;
    state.toReview = message.to_review ?? state.toReview;
    if (outbox.saved(message)) {
      setRevision(message.key, message.revision);
      trails.settled(message.key);
    } else if (message.session !== id) {
      // Another page of this kernel wrote the file: ask for what it holds now.
      if (frames.get(message.key)) post({ kind: "want", key: message.key });
    }
    notify("status");
  }

  /** @param {string} key @param {string} revision */
  function setRevision(key, revision) {
    const entry = frames.get(key);
    if (entry) entry.frame.revision = revision;
    if (state.frame?.key === key) state.frame.revision = revision;
  }

  /** Boxes that the kernel sets: from Python, or "take theirs". @param {LabelsMessage} message */
  function receiveLabels(message) {
    state.labelled = message.labelled ?? state.labelled;
    state.toReview = message.to_review ?? state.toReview;
    setBoxes(message);
    notify("status");
  }

  /** What others suggest by now, while the person goes on with the image. @param {SuggestedMessage} message */
  function receiveSuggested(message) {
    state.toReview = message.to_review;
    const entry = frames.get(message.key);
    const isOpen = state.frame?.key === message.key;
    const frame = isOpen ? state.frame : entry?.frame;
    if (frame) {
      frame.rejected = message.rejected.length;
      const isChanged = documents.offer(frame, message);
      if (entry) entry.frame = frame;
      if (isOpen && isChanged) {
        forgetLostSelection();
        notify("boxes");
      }
    }
    notify("status");
  }

  /**
   * Give up what is unsaved of an image for other boxes: a step that can be undone.
   * @param {{key: string, boxes: Row[], proposals?: import("../../types.d.ts").ProposalRow[], revision: string}} content
   */
  function setBoxes(content) {
    outbox.drop(content.key);
    setRevision(content.key, content.revision);
    documents.replace(content);
    forgetLostSelection();
    notify("boxes");
  }

  /** @param {(history: BoxHistory) => BoxHistory} step @param {string} what */
  function travel(step, what) {
    const before = current();
    lastMark = "";
    if (!before || !state.frame?.editable) return;
    const after = step(before);
    if (after === before) return;
    const old = new Map(boxes().map((box) => [box.id, box]));
    documents.set(state.frame.key, after);
    forgetLostSelection();
    // Boxes that this step brought back or changed are selected, because the next key is for them;
    // so none of those that nobody sees.
    const back = boxes()
      .filter((box) => old.get(box.id) !== box && isShown(box))
      .map((box) => box.id);
    if (back.length) Object.assign(state, { selection: new Set(back), drawn: null });
    put(what);
    notify("boxes");
  }

  function stepBack() {
    const { frame } = state;
    if (current()?.past.length) travel(undo, "undo");
    else if (frame?.editable && frame.keep && !outbox.failure(frame.key)) trails.wish(frame.key);
  }

  /** @param {TrailMessage} message */
  function receiveTrail(message) {
    const found = trails.answered(message, documents.get(message.key));
    if (found === "stale") post({ kind: "want", key: message.key });
    else if (found) {
      documents.set(message.key, found.history);
      for (let i = 0; i < found.steps && state.frame?.key === message.key; i++) stepBack();
      notify("boxes");
      if (found.steps && !found.history.past.length) notify("start");
    }
  }

  /**
   * A finished edit.
   * @param {string} what @param {import("./document.mjs").Box[]} boxesAfter
   * @param {string} merge edits in quick succession with the same mark are one step of undo
   */
  function edit(what, boxesAfter, merge = "") {
    const next = withoutCovered(boxesAfter);
    const before = current();
    if (!state.frame?.editable || !before) return;
    const { key } = state.frame;
    const mark = merge && `${key} ${merge}`;
    const joins = mark && mark === lastMark && now() - lastEdit < MERGE_WITHIN;
    // Rejecting predictions alone does not make an image a labelled one.
    const labelled = before.present.labelled || toRows(next).length > 0;
    documents.set(
      key,
      joins ? amend(before, next, labelled) : commit(before, what, next, labelled),
    );
    trails.forget(key);
    lastMark = mark;
    lastEdit = now();
    forgetLostSelection();
    put(what);
    notify("boxes");
  }

  const asking = createAsking({ post, state, boxes, edit, notify });

  return {
    ...asking.wishes,
    state,
    boxes,
    isSure,
    isShown,
    outbox,
    strip,
    sharpen,

    /** Images are decoded ahead to fill this. @param {{width: number, height: number}} pixels device pixels */
    setStage(pixels) {
      stage = pixels;
    },

    /** @param {(what: Change) => void} listener @returns {() => void} */
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    /** Ask the kernel for everything: at start and after a lost connection. */
    hello() {
      post({ kind: "hello" });
    },

    /** @param {CanvasReceived} message @param {DataView<ArrayBuffer>[]} buffers */
    async receive(message, buffers = []) {
      if (message.to && message.to !== id) return;
      if (message.kind === "frame") await receiveFrame(message, buffers?.[0]);
      else if (message.kind === "empty") receiveEmpty();
      else if (message.kind === "scope") recover(message.scope);
      else if (message.kind === "not_shown") receiveNotShown(message);
      else if (message.kind === "saved") receiveSaved(message);
      else if (message.kind === "not_saved") outbox.failed(message);
      else if (message.kind === "labels") receiveLabels(message);
      else if (message.kind === "suggested") receiveSuggested(message);
      else if (message.kind === "trail") receiveTrail(message);
      else if (message.kind === "tightened") asking.receiveTightened(message);
      else if (message.kind === "clicked") asking.receiveClicked(message);
      else if (message.kind === "strip") {
        strip.received(message, buffers);
        notify("strip");
      } else console.warn("workbench: unknown message from the kernel", message);
    },

    edit,

    /**
     * The classes were changed, here or elsewhere: what is drawn keeps its class, not its number.
     * @param {string[]} before @param {string[]} after
     */
    classesChanged(before, after) {
      const isSame = before.every((name, id) => after[id] === name);
      if (isSame || !state.frame?.keep) return;
      /** @param {number} id */
      const idOf = (id) => idNow(id, before, after);
      /** @param {Box[]} copied @returns {Box[]} */
      const known = (copied) =>
        copied
          .map((box) => ({ ...box, cls: idOf(box.cls) }))
          .filter((box) => box.cls < after.length);
      outbox.translate((edit) => withIdsNow(edit, idOf, after));
      documents.renumber(idOf);
      frames.keepOnly(state.frame.key);
      wanted.clear();
      state.clipboard = known(state.clipboard);
      state.previousBoxes = known(state.previousBoxes);
      state.currentClass = Math.max(Math.min(idOf(state.currentClass), after.length - 1), 0);
      lastMark = "";
      forgetLostSelection();
      post({ kind: "want", key: state.frame.key });
      notify("boxes");
    },

    /** Nothing is answered any more; edits go on to be kept in this browser. */
    kernelGone() {
      state.gone = KERNEL_GONE;
      notify("status");
    },

    /** One step back; beyond this page's own steps those of earlier sessions. */
    undo: stepBack,

    redo() {
      travel(redo, "redo");
    },

    /** Whether a person has said what is on the image that is shown. */
    isReviewed: () => current()?.present.labelled ?? false,

    /** Place in the walk that is shown or on its way. */
    target: () => target,
    canUndo() {
      const { frame } = state;
      const isTouched = frame && (isLabelled(frame) || frame.rejected > 0);
      const isOpen = Boolean(
        frame?.keep && frame.editable && isTouched && trails.isOpen(frame.key),
      );
      return (current()?.past.length ?? 0) > 0 || isOpen;
    },
    canRedo: () => (current()?.future.length ?? 0) > 0,

    /**
     * @param {Iterable<number>} ids
     * @param {{drawn?: boolean}} how `drawn`: the hand has just made it, and did not choose it
     */
    select(ids, { drawn = false } = {}) {
      state.selection = new Set(ids);
      state.drawn = drawn ? [...state.selection][0] : null;
      notify("selection");
    },

    /** @param {(state: State) => void} change of anything that is not a label */
    update(change) {
      change(state);
      notify("selection");
    },

    /**
     * Show the predictions from a score on; what is hidden by it is not selected any more.
     * @param {number} threshold
     * @param {Record<number, number>} [ofClass] for some classes, in place of it
     */
    setThreshold(threshold, ofClass = {}) {
      state.threshold = threshold;
      state.classThresholds = ofClass;
      const shown = new Set(boxes().flatMap((box) => (isShown(box) ? [box.id] : [])));
      state.selection = new Set([...state.selection].filter((id) => shown.has(id)));
      notify("selection");
    },

    /** Go to an image by its place in the walk. @param {number} index */
    go(index) {
      const goal = Math.min(Math.max(index, 0), state.total - 1);
      if (goal === target || state.total === 0) return;
      target = goal;
      state.notShown = null;
      goSeq += 1;
      showSerial += 1;
      const entry = frames.at(state.walk, goal);
      if (entry?.bitmap) {
        if (!documents.has(entry.frame.key)) documents.reconcile(entry.frame);
        show(entry);
      } else {
        state.loading = true;
        notify("status");
      }
      askForTarget();
    },

    /** Ask once more for the image that did not come. */
    goAgain() {
      if (state.notShown) state.notShown.at = Infinity; // until there is an answer
      askForTarget();
    },

    /** @param {number} by */
    step(by) {
      this.go(target + by);
    },

    goNextUnlabelled() {
      goSeq += 1;
      post({ kind: "go_unlabelled", seq: goSeq, walk: state.walk, index: target });
    },

    /** Write an empty label file: there is nothing here. */
    nothingHere() {
      const before = current();
      if (!state.frame?.editable || !before || boxes().some((box) => !box.proposal)) return;
      const { key } = state.frame;
      if (!before.present.labelled)
        documents.set(key, commit(before, "nothing here", boxes(), true));
      lastMark = "";
      trails.forget(key);
      put("nothing here");
      notify("boxes");
    },

    /**
     * Answer to the question of a failed save.
     * @param {"mine"|"theirs"|"retry"} choice write mine over it, take what is in the file, or try again
     * @param {string} [key] of an image that is not shown, and may be gone
     */
    resolve(choice, key = state.frame?.key) {
      const failure = key === undefined ? null : outbox.failure(key);
      if (key === undefined || !failure) return;
      if (choice === "mine") outbox.retry(key, { revision: failure.revision, agreed: true });
      else if (choice === "retry") outbox.retry(key, {});
      else {
        // From here on edits are based on what the file had when the save was refused.
        setBoxes({ key, boxes: failure.boxes, revision: failure.revision });
        if (frames.get(key)) post({ kind: "want", key });
      }
    },

    /** Called now and then: what was not answered goes out again; who looks on may zoom soon. */
    tick() {
      sharpen();
      strip.askAgain(state.walk, PATIENCE);
      if (state.notShown && now() - state.notShown.at >= PATIENCE) this.goAgain();
      if (outbox.status().pending) {
        outbox.resend(PATIENCE);
        notify("status");
      }
    },

    /** @returns {{state: "saved"|"saving"|"not saved", why: string}} */
    saving() {
      const { pending, failed, oldest } = outbox.status();
      if (failed.length)
        return {
          state: "not saved",
          why: `${nameOf(failed[0])}: ${outbox.failure(failed[0])?.why}`,
        };
      if (pending && state.gone) return { state: "not saved", why: `${state.gone} ${KEPT}` };
      if (oldest >= PATIENCE) {
        return { state: "not saved", why: SILENCE };
      }
      return { state: pending ? "saving" : "saved", why: "" };
    },

    close() {
      listeners.clear();
      frames.clear();
      strip.clear();
    },
  };
}
