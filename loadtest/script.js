// How much load the API carries: each virtual user posts a job, waits, gets one of its jobs, waits, and so on.
import { sleep } from "k6";

import { VENDORS, get, post } from "./jobs.js";

const THINK_SECONDS = 0.1;
const MAX_REMEMBERED = 100;

export const options = {
  vus: Number(__ENV.VUS || 200),
  duration: __ENV.DURATION || "60s",
  summaryTrendStats: ["avg", "med", "p(95)", "p(99)", "max"],
  thresholds: {
    http_req_failed: ["rate==0"],
    checks: ["rate==1"],
    "http_req_duration{name:POST /jobs}": [`p(95)<${__ENV.P95_MS || 1000}`],
    "http_req_duration{name:GET /jobs/{request_id}}": [`p(95)<${__ENV.P95_MS || 1000}`],
  },
};

// The jobs posted by this virtual user, newest last.
const posted = [];
let posts = 0;

export default function () {
  const job = __ITER % 2 === 1 ? any(posted) : null;
  if (job) {
    get(job);
  } else {
    postNext();
  }
  sleep(THINK_SECONDS);
}

function postNext() {
  // Half of the users start with each vendor, so that both get the same load at any time.
  const job = post(VENDORS[(__VU + posts++) % VENDORS.length], `User ${__VU}`);
  if (job && posted.push(job) > MAX_REMEMBERED) {
    posted.shift();
  }
}

function any(jobs) {
  return jobs[Math.floor(Math.random() * jobs.length)];
}
