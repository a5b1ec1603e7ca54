// The API key and the idempotency keys of the load tests' requests, if the environment asks for them.
import exec from "k6/execution";

export const AUTHORIZATION = __ENV.API_KEY ? { Authorization: `Bearer ${__ENV.API_KEY}` } : {};

const RUN = Date.now(); // of this virtual user
let posts = 0;

// Returns the header of a new idempotency key, or none.
export function idempotencyKey() {
  return __ENV.IDEMPOTENCY_KEYS === "1" ? { "Idempotency-Key": `${RUN}-${exec.vu.idInTest}-${posts++}` } : {};
}
