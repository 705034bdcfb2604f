/** Play, step and seek in a feed that has a beginning and an end. */
/** @import { PlayMessage, Player } from "../../types.d.ts" */
import { make, setText } from "../../shared/static/dom.mjs";

/** @param {{send: (message: PlayMessage) => void}} options */
export function createPlayer({ send }) {
  /** @type {Player | null} */
  let facts = null;
  let dragging = false;
  const play = make(
    "button",
    {
      type: "button",
      class: "wb-button",
      onclick: () => send({ kind: "play", act: facts?.paused ? "play" : "pause" }),
    },
    "Pause",
  );
  const back = make(
    "button",
    {
      type: "button",
      class: "wb-button",
      title: "One frame back",
      "aria-label": "One frame back",
      onclick: () => send({ kind: "play", act: "step", value: -1 }),
    },
    "‹",
  );
  const next = make(
    "button",
    {
      type: "button",
      class: "wb-button",
      title: "One frame on",
      "aria-label": "One frame on",
      onclick: () => send({ kind: "play", act: "step", value: 1 }),
    },
    "›",
  );
  const slider = make("input", {
    type: "range",
    min: 0,
    step: 1,
    class: "wbc-seek",
    "aria-label": "Place",
    oninput: () => {
      dragging = true;
      setText(place, `${Number(slider.value) + 1} of ${facts?.length ?? 0}`);
    },
    onchange: () => {
      dragging = false;
      send({ kind: "play", act: "seek", value: Number(slider.value) });
    },
  });
  const place = make("span", { class: "wbc-unit" });
  const element = make(
    "div",
    { class: "wbc-player", hidden: true },
    play,
    back,
    next,
    slider,
    place,
  );
  return {
    element,
    /** @param {Player | null} player */
    update(player) {
      facts = player;
      element.hidden = !player;
      if (!player) return;
      setText(play, player.paused ? "Play" : "Pause");
      slider.max = String(Math.max(player.length - 1, 0));
      if (!dragging) {
        slider.value = String(Math.max(player.position, 0));
        setText(place, `${Math.max(player.position, 0) + 1} of ${player.length}`);
      }
    },
  };
}
