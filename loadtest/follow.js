// Measures how long a result takes: posts jobs at a steady rate, and polls each until it is final.
import { sleep } from "k6";
import exec from "k6/execution";
import { Counter, Trend } from "k6/metrics";

import { VENDORS, get, isFinal, post } from "./jobs.js";

const RATE = Number(__ENV.RATE || 10); // jobs a second
const BOUND_SECONDS = Number(__ENV.BOUND_SECONDS || 30);
const MIN_PAUSE_SECONDS = 0.05;
const MAX_PAUSE_SECONDS = 0.25;

const timeToResult = new Trend("time_to_result", true);
const jobsFollowed = new Counter("jobs_followed");
const jobsNotFinal = new Counter("jobs_not_final");

export const options = {
  scenarios: {
    follow: {
      executor: "constant-arrival-rate",
      rate: RATE,
      timeUnit: "1s",
      duration: __ENV.DURATION || "60s",
      preAllocatedVUs: RATE * 5,
      maxVUs: RATE * (BOUND_SECONDS + 10),
      gracefulStop: `${BOUND_SECONDS + 15}s`,
    },
  },
  summaryTrendStats: ["med", "p(95)", "max"],
  thresholds: {
    http_req_failed: ["rate==0"],
    checks: ["rate==1"],
    dropped_iterations: ["count==0"],
    jobs_not_final: ["count==0"],
    // One per vendor, so that each is shown separately.
    ...Object.fromEntries(VENDORS.map((vendor) => [`time_to_result{vendor:${vendor}}`, [`max<${BOUND_SECONDS * 1000}`]])),
  },
};

export default function () {
  const vendor = VENDORS[exec.scenario.iterationInTest % VENDORS.length];
  const since = Date.now();
  const job = post(vendor, "John Doe");
  if (!job) {
    return;
  }
  jobsFollowed.add(1, { vendor });
  if (becomesFinal(job, since)) {
    timeToResult.add(Date.now() - since, { vendor });
  } else {
    jobsNotFinal.add(1, { vendor });
  }
}

function becomesFinal(job, since) {
  let elapsedSeconds = 0;
  while (elapsedSeconds < BOUND_SECONDS) {
    if (isFinal(get(job))) {
      return true;
    }
    // A quarter of the time so far: polls rarely, and overstates the time by a quarter at most.
    sleep(Math.min(Math.max(elapsedSeconds / 4, MIN_PAUSE_SECONDS), MAX_PAUSE_SECONDS));
    elapsedSeconds = (Date.now() - since) / 1000;
  }
  return false;
}
