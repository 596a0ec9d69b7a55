// Microsoft's client of DPS's service API for Node.js.
//
// CONNECTION_STRING ID CERT

const fs = require("node:fs");
const { check, run } = require("./steps.cjs");
const { ProvisioningServiceClient } = require("azure-iot-provisioning-service");

const [connection, id, certFile] = process.argv.slice(2);
const certificate = fs.readFileSync(certFile, "utf8");
const client = ProvisioningServiceClient.fromConnectionString(connection);
const record = (registrationId) => ({
  registrationId,
  attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
  provisioningStatus: "enabled",
});

let kept = null;

async function create() {
  kept = (await client.createOrUpdateIndividualEnrollment(record(id))).responseBody;
  check(kept.registrationId === id && kept.etag);
}

async function update() {
  kept = (await client.createOrUpdateIndividualEnrollment({ ...kept, provisioningStatus: "disabled" })).responseBody;
  check(kept.provisioningStatus === "disabled");
}

async function get() {
  const found = (await client.getIndividualEnrollment(id)).responseBody;
  check(found.etag === kept.etag);
}

async function query() {
  const found = [];
  const pages = client.createIndividualEnrollmentQuery({ query: "SELECT * FROM enrollments" }, 1);
  do {
    const { responseBody } = await pages.next(pages.continuationToken); // without, it is the first page again
    found.push(...responseBody.map(({ registrationId }) => registrationId));
  } while (pages.hasMoreResults);
  check(found.includes(id), JSON.stringify(found));
}

async function remove() {
  await client.deleteIndividualEnrollment(kept);
}

/** Without a callback, the client's promise never comes to an end. */
const runBulk = (operation) =>
  new Promise((done, fail) => client.runBulkEnrollmentOperation(operation, (error, result) => (error ? fail(error) : done(result))));

async function bulk() {
  const operation = { mode: "create", enrollments: [record(id)] };
  const made = await runBulk(operation);
  check(made.isSuccessful, JSON.stringify(made));
  check((await runBulk({ ...operation, mode: "delete" })).isSuccessful);
}

run(Object.entries({ create, update, get, query, remove, bulk }));
