// Posts jobs at a steady rate and never reads them: the service's own rows show how long each took.
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
      preAllocatedVUs: RATE, // a second's worth: a slower response drops iterations and fails the run
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
