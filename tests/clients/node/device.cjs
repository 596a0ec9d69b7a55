// Microsoft's SDK for Node.js: DPS and the hub, by HTTP or MQTT.
//
// TRANSPORT ID_SCOPE REGISTRATION_ID CERT KEY

const fs = require("node:fs");
const { admin, check, inTime, run } = require("./steps.cjs");
const { Client, Message } = require("azure-iot-device");
const { ProvisioningDeviceClient } = require("azure-iot-provisioning-device");
const { X509Security } = require("azure-iot-security-x509");

const [transport, scope, name, certFile, keyFile] = process.argv.slice(2);
const identity = { cert: fs.readFileSync(certFile, "utf8"), key: fs.readFileSync(keyFile, "utf8") };
const ca = fs.readFileSync(process.env.SIMULATOR_ROOT, "utf8");
const isMqtt = transport === "mqtt";

// Each package under its own name.
const packages = {
  http: () => [require("azure-iot-provisioning-device-http").Http, require("azure-iot-device-http").Http],
  mqtt: () => [require("azure-iot-provisioning-device-mqtt").Mqtt, require("azure-iot-device-mqtt").Mqtt],
};
const [Provisioning, Hub] = packages[transport]();

let client = null;
let assigned = null;

async function provision() {
  const dps = ProvisioningDeviceClient.create(
    "global.azure-devices-provisioning.net",
    scope,
    new Provisioning(),
    new X509Security(name, identity),
  );
  assigned = await dps.register();
  check(assigned.status === "assigned", assigned.status);
}

async function connect() {
  client = Client.fromConnectionString(`HostName=${assigned.assignedHub};DeviceId=${assigned.deviceId};x509=true`, Hub);
  const set = client.setOptions({ ...identity, ca });
  if (isMqtt) await set; // by HTTP it never comes to an end
  await client.open();
}

async function send() {
  const message = new Message('{"temperature": 30}');
  message.messageId = "m-1";
  message.contentType = "application/json";
  message.properties.add("alert", "a&b");
  await client.sendEvent(message);
}

async function batch() {
  await client.sendEventBatch([new Message("one"), new Message("two")]);
}

/** By HTTP the client asks for messages seldom, so it must be told to ask now. */
async function receive() {
  const come = new Promise((done) => client.on("message", done));
  if (!isMqtt) client.setOptions({ http: { receivePolicy: { interval: 1 } } });
  await admin("POST", "devicebound", { deviceId: assigned.deviceId, body: "hello", messageId: "m-2", properties: { a: "b" } });
  const message = await inTime(come);
  check(message.data.toString() === "hello", message.data);
  check(message.messageId === "m-2", JSON.stringify(message));
  // By HTTP the client keeps the prefix of the header.
  check(message.properties.getValue(isMqtt ? "a" : "iothub-app-a") === "b", JSON.stringify(message));
  await client.complete(message);
}

/** The client has no call that says when it has subscribed. */
const subscribed = () => new Promise((done) => setTimeout(done, 500));

async function twin() {
  const found = await client.getTwin();
  await new Promise((done, fail) => found.properties.reported.update({ floor: 2 }, (error) => (error ? fail(error) : done())));
  const come = new Promise((done) => found.on("properties.desired.interval", done));
  await subscribed();
  await admin("POST", "twins", { deviceId: assigned.deviceId, desired: { interval: 5 } });
  check((await inTime(come)) === 5);
}

async function method() {
  const answered = new Promise((done) =>
    client.onDeviceMethod("blink", (request, response) => response.send(207, { got: request.payload }, done)),
  );
  await subscribed();
  const answer = await admin("POST", "methods", { deviceId: assigned.deviceId, method: "blink", payload: { times: 2 } });
  check(answer.status === 207 && answer.payload.got.times === 2, JSON.stringify(answer));
  await answered;
}

const close = () => client.close();

const steps = { provision, connect, send, ...(isMqtt ? {} : { batch }), receive, ...(isMqtt ? { twin, method } : {}), close };
run(Object.entries(steps));
