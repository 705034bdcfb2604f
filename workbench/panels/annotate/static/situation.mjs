/** What is to be said of the image that is shown: its count, the progress, what is wrong. */
/** @import { CanvasModel, Failure } from "../../types.d.ts" */
/** @import { Session } from "./commands.mjs" */

/** Whether a person has said that there is nothing on it. @param {Session} session */
export function isBackground(session) {
  return Boolean(session.state.frame?.revision) && session.boxes().length === 0;
}

/** @param {Session} session @param {number} count boxes @param {number} waiting predictions to review */
export function describeCount(session, count, waiting = 0) {
  const review = waiting ? `, ${waiting} to review` : "";
  if (count) return `${count} ${count === 1 ? "box" : "boxes"}${review}`;
  const { frame } = session.state;
  const reason = !frame?.revision && frame?.reason ? ` · ${frame.reason}` : "";
  return (
    (isBackground(session) ? "nothing here" : frame?.revision ? "no boxes" : "not labelled") +
    review +
    reason
  );
}

/** @param {import("./session.mjs").State} state @param {string} work what is under way, in words @param {string} taught what a model has learnt meanwhile */
export function describeProgress(state, work, taught) {
  if (work) return work;
  const review = state.toReview ? `${state.toReview} to review, ` : "";
  return `${taught ? `${taught} · ` : ""}${review}${state.labelled} of ${state.total} labelled`;
}

/**
 * The most urgent thing to say over the picture, or null.
 * @param {CanvasModel} model @param {Session} session
 * @param {(act: () => void) => void} answer does what a button says
 * @returns {{text: string, tone: "problem"|"info", choices: {text: string, run: () => void}[]}|null}
 */
export function currentNotice(model, session, answer) {
  const { frame, loading, notShown } = session.state;
  // What is drawn belongs to the image that is seen, whatever its place is called above it.
  const still =
    frame && loading && notShown
      ? `Image ${session.target() + 1} does not come; this is still image ${frame.index + 1}. `
      : "";
  /** @type {Failure|null} */
  const failure = frame && session.outbox.failure(frame.key);
  /** @param {Failure} of @param {string} key */
  const choicesOf = (of, key) =>
    of.choices.map(({ choice, text }) => ({
      text,
      run: () => answer(() => session.resolve(choice, key)),
    }));
  if (frame && failure) {
    const choices = choicesOf(failure, frame.key);
    return { text: still + failure.why, tone: "problem", choices };
  }
  if (model.get("notice")) {
    const dismiss = () => {
      model.set("notice", "");
      model.save_changes();
    };
    return {
      text: still + model.get("notice"),
      tone: "problem",
      choices: [{ text: "Dismiss", run: () => answer(dismiss) }],
    };
  }
  const offer = model.get("offer") ?? {};
  if (offer.text) {
    const dismiss = () => {
      model.set("offer", {});
      model.save_changes();
    };
    return {
      text: offer.text,
      tone: "info",
      choices: [
        { text: offer.choice, run: () => answer(() => session.fetchFiles()) },
        { text: "Not now", run: () => answer(dismiss) },
      ],
    };
  }
  const why = session.saving().why || session.state.gone;
  if (why) {
    // Of another image, which may have been moved or deleted: nobody could go there to decide.
    const [key] = session.outbox.status().failed;
    const other = key === undefined ? null : session.outbox.failure(key);
    const choices = other ? choicesOf(other, key) : [];
    return { text: still + why, tone: "problem", choices };
  }
  if (!frame && !loading) return noImage(model, session);
  if (loading && notShown) {
    const again = () => answer(() => session.goAgain());
    return {
      text: still + notShown.why,
      tone: "problem",
      choices: [{ text: "Try again", run: again }],
    };
  }
  if (!frame || loading) return { text: "Loading…", tone: "info", choices: [] };
  if (frame.problem) return { text: frame.problem, tone: "problem", choices: [] };
  return null;
}

/** Why there is no image, and where some come from. @param {CanvasModel} model @param {Session} session @returns {{text: string, tone: "info", choices: {text: string, run: () => void}[]}} */
function noImage(model, session) {
  const filtered = model.get("why_empty");
  const doors = model.get("doors") ?? [];
  const open = (/** @type {string} */ panel) => () => session.openPanel(panel);
  if (filtered)
    return {
      text: filtered,
      tone: "info",
      choices: doors
        .filter((panel) => panel === "Browse")
        .map((panel) => ({ text: `Open ${panel}`, run: open(panel) })),
    };
  return {
    text: "There is no image to show: add pictures in Browse or Capture, or choose another split.",
    tone: "info",
    choices: doors.map((panel) => ({ text: `Add in ${panel}`, run: open(panel) })),
  };
}
