// Whom one talks with, while a session lives: who cannot answer (C3), from which code each is written to, whom the next text goes to.
import { h, icon } from "../../lib/dom.js";
import { shown } from "./reasons.js";
import { t } from "./words.js";

/** `handsets`: as the API names them; `left`: a Set of the numbers that the next text does not go to, changed here. */
export function handsetList({ handsets, left, isAgain }) {
  const isOne = handsets.length === 1;
  const boxes = [];
  const rows = handsets.map((one) => {
    const number = h("strong", { class: "tabular" }, shown(one.number));
    const box = isOne
      ? null
      : h("input", {
          type: "checkbox",
          autocomplete: "off",
          checked: !left.has(one.number),
          onChange: () => (box.checked ? left.delete(one.number) : left.add(one.number)),
        });
    if (box) boxes.push([box, one.number]);
    return h(
      "li",
      { class: "handset" },
      isOne ? number : h("label", { class: "check" }, box, number),
      h("span", { class: "soft small" }, t("arrives_from", one.code)),
      !one.can_answer && h("p", { class: "small" }, h("span", { class: "tag warn" }, icon("blocked"), t("only_receives")), " ", t("only_receives_why")),
    );
  });
  const mark = (isMarked) => {
    for (const [box, number] of boxes) {
      box.checked = isMarked;
      if (isMarked) left.delete(number);
      else left.add(number);
    }
  };
  return h(
    isOne ? "div" : "fieldset",
    { class: "stack plain-set" },
    h(isOne ? "p" : "legend", { class: "label" }, isOne ? t("talking_with") : t("next_goes_to")),
    handsets.length > 3 &&
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", class: "button small", onClick: () => mark(true) }, t("all")),
        h("button", { type: "button", class: "button small", onClick: () => mark(false) }, t("none")),
      ),
    h("ul", { class: "handsets" }, rows),
    handsets.every((one) => !one.can_answer) && h("p", { class: "note warn small" }, icon("warning"), h("span", {}, t("nobody_answers"))),
    isAgain && h("p", { class: "note small" }, icon("phone"), h("span", {}, t("another_number"))),
    h("p", { class: "soft small" }, t("other_numbers")),
  );
}
