// The jobs API for the load tests: posts a job, gets one, and checks the responses.
import http from "k6/http";
import { check } from "k6";

import { AUTHORIZATION, idempotencyKey } from "./keys.js";

const BASE_URL = (__ENV.BASE_URL || "http://127.0.0.1:8000").replace(/\/$/, "");
const TIMEOUT = "10s";
const POST = { headers: { "Content-Type": "application/json", ...AUTHORIZATION }, tags: { name: "POST /jobs" }, timeout: TIMEOUT };
const GET = { headers: AUTHORIZATION, tags: { name: "GET /jobs/{request_id}" }, timeout: TIMEOUT };
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const FINAL = ["complete", "failed", "cancelled"];
const STATUSES = ["queued", "processing", ...FINAL];

export const VENDORS = ["sync", "async"];

// Returns the job as {id, vendor, name}, or null if it was not accepted.
export function post(vendor, name) {
  const response = http.post(`${BASE_URL}/jobs`, JSON.stringify({ vendor, name }), { ...POST, headers: { ...POST.headers, ...idempotencyKey() } });
  const body = json(response);
  const accepted = check(response, {
    "POST answers 202": response.status === 202,
    "POST gives an id": UUID.test(body.request_id),
    "POST says that it is queued": body.status === "queued",
    "POST says where the job is": response.headers.Location === `/jobs/${body.request_id}`,
  });
  return accepted ? { id: body.request_id, vendor, name } : null;
}

// Returns the job's status, or undefined if the response has none.
export function get(job) {
  const response = http.get(`${BASE_URL}/jobs/${job.id}`, GET);
  const body = json(response);
  check(response, {
    "GET answers 200": response.status === 200,
    "GET shows the job": body.request_id === job.id && body.vendor === job.vendor && body.name === job.name,
    "GET shows a known status": STATUSES.includes(body.status),
    "GET shows no failed job": body.status !== "failed" && body.status !== "cancelled",
    "GET shows the right result, and only when complete":
      body.status === "complete" ? isRight(body.result, job) : body.result === undefined,
  });
  return body.status;
}

export function isFinal(status) {
  return FINAL.includes(status);
}

// The mock vendor's answer, without what is redacted.
function isRight(result, job) {
  const { name, info, ...more } = result || {};
  return name === job.name && info === `Processed ${job.vendor}` && Object.keys(more).length === 0;
}

// Cheaper than response.json(), which returns a Go value that is converted at each access.
function json(response) {
  try {
    return JSON.parse(response.body) || {};
  } catch (error) {
    return {};
  }
}
