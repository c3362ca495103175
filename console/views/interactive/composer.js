// Where the next text is written: how long it is, whether it may go now, what is wrong with it.
import { fill, h, icon } from "../../lib/dom.js";
import { measure } from "../../lib/segments.js";
import { t } from "./words.js";

const COSTLY_SHOWN = 4;

export class Composer {
  #segmentsMax;
  #meter = h("p", { class: "hint meter tabular", id: "message-meter" });
  #wrong = h("p", { class: "wrong", id: "message-wrong", role: "alert" });
  #button = h("button", { type: "submit", class: "button main" });

  constructor({ text, settings, send, changed }) {
    this.#segmentsMax = settings.segments_max;
    this.area = h("textarea", {
      class: "input",
      id: "message",
      rows: 3,
      autocomplete: "off",
      placeholder: t("placeholder"),
      "aria-describedby": "message-meter message-wrong message-hint",
      onInput: () => {
        this.setWrong("");
        this.#measure();
        changed();
      },
      onKeydown: (event) => {
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        send();
      },
    });
    this.area.value = text;
    this.element = h(
      "form",
      {
        class: "field composer",
        novalidate: true,
        autocomplete: "off",
        onSubmit: (event) => {
          event.preventDefault();
          send();
        },
      },
      h("label", { for: "message" }, t("message")),
      this.area,
      this.#wrong,
      h("div", { class: "row apart" }, h("div", {}, this.#meter, h("p", { class: "hint wide-only", id: "message-hint" }, t("message_hint"))), this.#button),
    );
    this.setState({ isAsked: false, isSending: false });
    this.#measure();
  }

  get text() {
    return this.area.value;
  }

  /** What is wrong with it before anybody is asked, in words; or nothing. */
  check() {
    if (this.text.trim() === "") return t("no_text");
    const { segments } = measure(this.text);
    return segments > this.#segmentsMax ? t("too_long", segments, this.#segmentsMax) : "";
  }

  /** This was said: what was typed since stays. */
  remove(said) {
    this.area.value = this.text.startsWith(said) ? this.text.slice(said.length).trimStart() : this.text;
    this.#measure();
  }

  setWrong(text) {
    this.#wrong.textContent = text;
    if (text) this.area.setAttribute("aria-invalid", "true");
    else this.area.removeAttribute("aria-invalid");
  }

  /** `isAsked`: a request is on its way; `isSending`: the text before is still going out (C5). */
  setState({ isAsked, isSending }) {
    this.#button.setAttribute("aria-busy", String(isAsked));
    this.#button.setAttribute("aria-disabled", String(isAsked || isSending));
    fill(this.#button, icon("send"), h("span", {}, isAsked ? t("sending") : t("send")));
  }

  #measure() {
    const { encoding, units, segments, costly } = measure(this.text);
    const [alone, part] = encoding === "GSM-7" ? [160, 153] : [70, 67];
    const room = segments === 1 ? alone - units : segments * part - units;
    const isTooLong = segments > this.#segmentsMax;
    this.#meter.classList.toggle("wrong", isTooLong);
    fill(
      this.#meter,
      isTooLong
        ? [icon("warning"), " ", t("too_long", segments, this.#segmentsMax)]
        : `${t("meter", segments, this.#segmentsMax)} · ${t("left", Math.max(0, room))}`,
      !isTooLong && costly.length > 0 && h("span", { class: "costly" }, t("costly", costly.slice(0, COSTLY_SHOWN).join(" "))),
    );
  }
}
