// Checks a webhook of recado's with Node's standard library alone (Standard Webhooks 1.0, symmetric signatures).
import { createHmac, timingSafeEqual } from "node:crypto";

const TOLERANCE_SECONDS = 5 * 60;

/** The event, or an Error. `body` is the request's raw text, `headers` have lower-case names, `secret` is "whsec_…". */
export function verify(body, headers, secret, now = Date.now() / 1000) {
  const id = headers["webhook-id"];
  const timestamp = headers["webhook-timestamp"];
  if (!id || !/^\d+$/.test(timestamp ?? "")) throw new Error("not a webhook");
  if (Math.abs(now - Number(timestamp)) > TOLERANCE_SECONDS) throw new Error("too old, or from the future");
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest();
  const said = (headers["webhook-signature"] ?? "").split(" ").filter((one) => one.startsWith("v1,"));
  const holds = said.some((one) => {
    const signature = Buffer.from(one.slice(3), "base64");
    return signature.length === expected.length && timingSafeEqual(signature, expected);
  });
  if (!holds) throw new Error("not signed with this secret");
  return JSON.parse(body);
}
