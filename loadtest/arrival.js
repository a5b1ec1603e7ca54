// Jobs posted at a steady rate, and not looked at again: how long each took is in the service's own rows.
import exec from "k6/execution";

import { post } from "./jobs.js";

const RATE = Number(__ENV.RATE || 100); // jobs a second

export const options = {
  scenarios: {
    arrival: {
      executor: "constant-arrival-rate",
      rate: RATE,
      timeUnit: "1s",
      duration: __ENV.DURATION || "20s",
      preAllocatedVUs: RATE, // as many as come in a second: an answer that takes longer holds jobs back, and fails the run
    },
  },
  summaryTrendStats: ["med", "p(95)", "max"],
  thresholds: {
    http_req_failed: ["rate==0"],
    checks: ["rate==1"],
    dropped_iterations: ["count==0"],
  },
};

export default function () {
  post("sync", `User ${exec.vu.idInTest}`);
}
