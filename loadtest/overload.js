// Three times the load that the service can carry: each request must be answered in time, with success or a refusal with
// Retry-After.
import http from "k6/http";
import { check } from "k6";
import { Counter, Trend } from "k6/metrics";

import { AUTHORIZATION, idempotencyKey } from "./keys.js";

const BASE_URL = (__ENV.BASE_URL || "http://127.0.0.1:8000").replace(/\/$/, "");
const RATE = Number(__ENV.RATE || 1500); // requests a second
const BOUND_SECONDS = 2;
const GET_EVERY = 10;
const VENDORS = ["sync", "async"];
const REFUSALS = [429, 503];

const answersDone = new Counter("answers_done");
const answersRefused = new Counter("answers_refused");
const timeToDone = new Trend("time_to_done", true);
const timeToRefused = new Trend("time_to_refused", true);

http.setResponseCallback(http.expectedStatuses(200, 202, ...REFUSALS));

export const options = {
  scenarios: {
    overload: {
      executor: "constant-arrival-rate",
      rate: RATE,
      timeUnit: "1s",
      duration: __ENV.DURATION || "30s",
      // As many as can be in flight if each is answered in time, so that k6 never drops requests.
      preAllocatedVUs: RATE * BOUND_SECONDS,
      gracefulStop: `${BOUND_SECONDS + 3}s`,
    },
  },
  summaryTrendStats: ["med", "p(95)", "p(99)", "max"],
  thresholds: {
    http_req_failed: ["rate==0"],
    checks: ["rate==1"],
    http_req_duration: [`max<${BOUND_SECONDS * 1000}`],
    dropped_iterations: ["count==0"],
    answers_done: ["count>0"],
  },
};

let posted = null; // the virtual user's last job

export default function () {
  const response = __ITER % GET_EVERY === 0 && posted ? get(posted) : post();
  const isDone = !REFUSALS.includes(response.status);
  check(response, {
    "succeeds, or is refused with Retry-After": () => (isDone ? [200, 202].includes(response.status) : response.headers["Retry-After"] > 0),
    "a refusal has a code": () => isDone || /^(overloaded|store_unavailable|queue_full|rate_limited)$/.test(response.json("code")),
  });
  (isDone ? answersDone : answersRefused).add(1);
  (isDone ? timeToDone : timeToRefused).add(response.timings.duration);
}

function post() {
  const body = JSON.stringify({ vendor: VENDORS[__ITER % VENDORS.length], name: `User ${__VU}` });
  const headers = { "Content-Type": "application/json", ...AUTHORIZATION, ...idempotencyKey() };
  const response = http.post(`${BASE_URL}/jobs`, body, { headers, tags: { name: "POST /jobs" }, timeout: "10s" });
  if (response.status === 202) {
    posted = response.json("request_id");
  }
  return response;
}

function get(id) {
  return http.get(`${BASE_URL}/jobs/${id}`, { headers: AUTHORIZATION, tags: { name: "GET /jobs/{request_id}" }, timeout: "10s" });
}
