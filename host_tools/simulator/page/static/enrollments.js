// The table of enrollments.

import { cell, element, tag } from "./dom.js";
import { totalEnrollments } from "./overview.js";
import { PagedTable } from "./table.js";

export const enrollments = new PagedTable("enrollments", {
  size: 10,
  total: totalEnrollments,
  key: (enrollment) => JSON.stringify([enrollment.kind, enrollment.key]),
  after: (enrollment) => ({ afterKind: enrollment.kind, afterId: enrollment.key }),
  none: "No enrollments yet: make one with microdps enroll, or by the service API.",
  row({ id, kind, status, certificate, until, policy, hubs, deviceId }) {
    const where = hubs.length ? hubs.join(", ") : "all linked hubs";
    return element(
      "tr",
      { role: "row" },
      cell("cell", element("strong", {}, id), deviceId && deviceId !== id ? element("small", {}, `device ID ${deviceId}`) : ""),
      cell("cell", kind),
      cell("cell", tag(status)),
      cell("cell", certificate || "", until ? element("small", {}, `valid until ${until.slice(0, 10)}`) : ""),
      cell("cell", policy, element("small", {}, where)),
    );
  },
});
