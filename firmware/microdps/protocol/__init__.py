"""Flows: what DPS and IoT Hub are asked, and how their answers are read. No I/O.

A flow is a generator. It yields its requests to the driver (microdps.driver), always as
(request, argument), and is handed the answer. This is the whole list:

    ("open", (host, ms))  begin an exchange with `name` or `name:port`, for which all that follows
                          has so many ms; with None it goes on in the time of the one before.
                          → True if the connection that is open leads there and is silent, as it
                          should be; else it is closed, and a new one opened
    ("send", buffer)      send all of the buffer, after the TLS handshake if that is due
    ("recv", buffer)      → bytes received, 1 to len(buffer); 0 at the end of the stream
    ("close", None)
    ("sleep", ms)
    ("now", None)         → ms since some start; never wraps

A failure is thrown into the flow as a LinkError; the connection is closed then. The buffer of a
"recv" is read only after it was answered.
"""

from collections import namedtuple

# The answer of DPS to a registration: host name of the assigned IoT hub, with a port only in a
# simulation; the device ID under which telemetry is to be sent; "assigned"; "initialAssignment" or
# another substatus, "" if DPS gave none; what a custom allocation returned, or None.
Assignment = namedtuple("Assignment", ("hub", "device_id", "status", "substatus", "payload"))
