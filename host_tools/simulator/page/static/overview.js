// The overview: how much there is of everything.

import { short } from "./chart.js";
import { amount, byId, number, setText } from "./dom.js";

let totals = null;

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
    "note-messages": `${short(totals.rate)} per second`,
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
