// A question before something that cannot be taken back.
import { NoAnswer, Problem } from "../../lib/api.js";
import { fill, h } from "../../lib/dom.js";
import { actionButton, errorNote } from "../../lib/say.js";
import { t } from "./words.js";

/**
 * Opens a dialog in `place`: what it means, yes or back. `act` is tried as often as yes is pressed, until it is done; answers whether it
 * was. Focus is back where it was, unless the act sent it elsewhere.
 */
export function ask(place, { title, means, yes, shown = null }, act) {
  return new Promise((resolve) => {
    let isDone = false;
    const trouble = h("div", {});
    const back = h("button", { type: "button", class: "button", onClick: () => dialog.close() }, t("back"));
    const sure = actionButton(yes, async () => {
      fill(trouble);
      try {
        await act();
      } catch (error) {
        if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
        fill(trouble, errorNote(error));
        return;
      }
      isDone = true;
      dialog.close();
    }, { kind: "danger" });
    const heading = h("h2", { id: "ask-title", tabindex: "-1" }, title);
    const dialog = h("dialog", { "aria-labelledby": "ask-title", onClose: () => resolve(isDone) }, h("div", { class: "stack" }, heading, shown && h("p", { class: "text asked-text" }, shown), h("p", {}, means), trouble, h("div", { class: "row" }, sure, back)));
    dialog.addEventListener("close", () => dialog.remove());
    place.append(dialog);
    dialog.showModal();
    heading.focus();
  });
}
