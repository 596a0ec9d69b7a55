"""micropython-lib's requests, as frozen into the interpreter, given a client certificate."""

import json
import sys

import requests
import tls

from bench_flow import DATA, EVENTS, OPERATION, REGISTER


class Client:
    def __init__(self, folder, dps, plain):
        self.scheme = "http://" if plain else "https://"
        self.dps = self.scheme + dps

        def context(protocol, plain=tls.SSLContext):
            made = plain(protocol)
            with open(folder + "/key.der", "rb") as key, open(folder + "/cert.der", "rb") as cert:
                made.load_cert_chain(cert.read(), key.read())
            return made

        class Tls:
            SSLContext = staticmethod(context)
            PROTOCOL_TLS_CLIENT = tls.PROTOCOL_TLS_CLIENT
            CERT_NONE = tls.CERT_NONE

        sys.modules["tls"] = Tls

    def call(self, method, url, data=None):
        answer = requests.request(method, url, json=data)
        content = answer.content
        answer.close()
        return content

    def provision(self):
        self.call("PUT", self.dps + REGISTER, {"registrationId": "device-01"})
        for _ in range(2):
            answer = json.loads(self.call("GET", self.dps + OPERATION))
        self.hub = self.scheme + answer["registrationState"]["assignedHub"]

    def send(self):
        self.call("POST", self.hub + EVENTS, DATA)
