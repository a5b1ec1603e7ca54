// A client that works steadily, beside a flood: of a client above its request limit, or of keys that are all wrong.
// loadtest/flood.py runs it and gives it its keys.
import http from "k6/http";
import { check } from "k6";
import { SharedArray } from "k6/data";
import exec from "k6/execution";
import { Counter } from "k6/metrics";

const { steady, limited } = JSON.parse(open(__ENV.KEYS_FILE));
const wrong = new SharedArray("wrong keys", () => JSON.parse(open(__ENV.KEYS_FILE)).wrong);

const STEADY_RATE = 20; // requests a second
const RATE = Number(__ENV.RATE);
const DURATION = __ENV.DURATION;
const BODY = JSON.stringify({ vendor: "sync", name: "John Doe" });

const answers = { 202: new Counter("flood_202"), 401: new Counter("flood_401"), 429: new Counter("flood_429"), 503: new Counter("flood_503") };

function scenario(name, rate, vus) {
  return { executor: "constant-arrival-rate", exec: name, rate, timeUnit: "1s", duration: DURATION, preAllocatedVUs: vus };
}

export const options = {
  scenarios: {
    steadily: scenario("steadily", STEADY_RATE, STEADY_RATE),
    ...(__ENV.FLOOD ? { flood: scenario(__ENV.FLOOD, RATE, 200) } : {}),
  },
  summaryTrendStats: ["med", "p(95)", "max"],
  thresholds: { "http_req_duration{scenario:steadily}": ["p(95)<100"], "checks{scenario:steadily}": ["rate==1"] },
};

export function steadily() {
  check(post(steady), { "the steady client is answered 202": (response) => response.status === 202 });
}

export function limitedKey() {
  count(post(limited));
}

export function wrongKeys() {
  count(post(wrong[exec.scenario.iterationInTest % wrong.length]));
}

function post(key) {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${key}` };
  return http.post(`${__ENV.BASE_URL}/jobs`, BODY, { headers, timeout: "10s" });
}

function count(response) {
  answers[response.status]?.add(1);
}
