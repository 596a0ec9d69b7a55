"""The HTTP client alone: it asks DPS for the status of this device's registration.

A complete main.py. It needs config.json, with a Wi-Fi, and identity/a beside it
(firmware/README.md).
Source: Azure DPS, Device Registration Status Lookup, API version 2021-06-01.
"""

import json

from microdps.client import Client
from microdps.identity import Identity
from microdps.program.board import Board
from microdps.program.config import load
from microdps.program.wifi import join
from microdps.rollover import look

settings = load("config.json")
join(Board(), settings["wifi"], look("a"))
client = Client(Identity.from_files("identity/a"), timeout_ms=30_000)
response = client.request(
    "POST",
    "https://{host}/{id_scope}/registrations/{registration_id}?api-version=2021-06-01".format(
        **settings
    ),
    headers={"Content-Type": "application/json"},
    body=json.dumps({"registrationId": settings["registration_id"]}),
)
body = bytes(response.body)  # a copy: the next request writes over the buffer
if response.status == 200:
    registration = json.loads(body)
    print("registration:", registration["status"], registration.get("assignedHub"))
else:
    print("DPS answers", response.status, body)
client.close()
