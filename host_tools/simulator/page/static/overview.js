// The overview: how much there is of everything.

import { amount, byId, number, setText } from "./dom.js";

const RATE_S = 6; // the rate of messages is of this many seconds

let totals = null;
let counts = []; // of the last seconds: the time, and how many messages there were

export const totalDevices = () => totals.devices;
export const totalEnrollments = () => totals.enrollments.group + totals.enrollments.individual;

export function showTotals(overview) {
  totals = overview;
  const { group, individual } = totals.enrollments;
  const { errors, hubs } = totals;
  const texts = {
    "total-devices": number.format(totals.devices),
    "note-devices": hubs.length === 1 ? "on 1 hub" : `on ${hubs.length} hubs`,
    "total-messages": number.format(totals.messages),
    "note-messages": `${rateText()} per second`,
    "total-enrollments": number.format(group + individual),
    "note-enrollments": `${number.format(group)} group, ${number.format(individual)} individual`,
    "total-requests": number.format(totals.requests),
    "note-requests": errors.of ? `${amount(errors.count, "error")} in the last ${number.format(errors.of)}` : "none yet",
    "id-scope": totals.idScope,
    "note-hubs": hubs.length === 1 ? `hub ${hubs[0]}` : `hubs ${hubs.join(", ")}`,
  };
  for (const [id, text] of Object.entries(texts)) setText(byId(id), text);
  byId("note-requests").classList.toggle("bad", errors.count > 0);
  byId("note-hubs").title = hubs.join(", ");
}

/** The rate of messages over the last seconds. */
function rateText() {
  const at = performance.now() / 1000;
  counts = [...counts, [at, totals.messages]].filter(([then]) => then > at - RATE_S);
  const [then, count] = counts[0];
  const rate = at > then ? (totals.messages - count) / (at - then) : 0;
  return rate > 0 && rate < 10 ? rate.toFixed(1) : String(Math.round(rate));
}

/** Forget the rate: the simulator has restarted. */
export function forget() {
  counts = [];
}
