// Azure's names lead to the simulator, without /etc/hosts: node --require ./names.cjs
const dns = require("node:dns");

const lookup = dns.lookup;
dns.lookup = (host, options, done) => lookup(host.endsWith(".net") ? process.env.SIMULATOR_ADDRESS : host, options, done);
