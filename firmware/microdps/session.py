"""What a device knows of DPS and its hub, and the flows that use it. Modules that only a
registration or an error needs are loaded when one comes."""

from micropython import const

from microdps.errors import Error
from microdps.protocol.body import encode

# Refusals are forgotten after a day of accepted messages.
_DAY_MS = const(86_400_000)


class Session:
    """What a device knows of DPS and its hub, and the flows that use it. No I/O of its own.

    owner        (host of DPS, ID scope, registration ID)
    timeout_ms   for each request, and for each registration with all its polls
    transport    "https", "mqtt", or "auto": HTTPS, and MQTT where a hub wants that
    say          None, or a function that is handed a line of text for each answer and retry
    buf          bytearray that requests and answers share; view is its memoryview

    by_mqtt      do messages go by MQTT?
    https        None, or the microdps.protocol.http.Connection over that buffer
    mqtt         None, or the microdps.protocol.mqtt.Mqtt over it
    patience_ms  how long a call may go on trying after its first failure; if the next wait is
                 longer, the call raises its error, and the next call waits first
    payload      a dict for a custom allocation, or None
    assignment   what DPS has assigned, or None
    hub, path    where messages go over HTTPS
    proven       has the assigned hub ever accepted a message?
    kept         dict of what else the state file holds
    failures     in a row, until a message is accepted
    refusals     by DPS or the hub, until a day of accepted messages
    renewed      has a refusal of the hub been answered by a registration at once?
    wait_ms      the next request is due so long after wait_from, by the clock of the link
    debt_ms      until when failures are paid for, by the same clock (microdps.backoff)
    run          16 hex digits that no other run of the device has; "" before it is needed
    messages     that have got an ID in this run
    good_ms      when the first message after a refusal was accepted, or None
    changed      is there more to keep than the state file holds?
    """

    patience_ms = 60_000
    payload = assignment = https = mqtt = good_ms = None
    by_mqtt = proven = changed = renewed = False
    failures = refusals = messages = debt_ms = wait_ms = wait_from = 0
    hub = path = run = ""

    def __init__(self, owner, timeout_ms: int, transport: str = "auto", say=None, buf=None):
        self.buf = buf or bytearray(4096)
        self.view = memoryview(self.buf)
        self.owner = owner
        self.timeout_ms = timeout_ms
        self.transport = transport
        self.say = say
        self.kept: dict = {}

    def log(self, text: str, *values):
        """Tell a line of text, if there is someone to tell."""
        if self.say:
            self.say(text % values)

    def connection(self):
        """The session's microdps.protocol.http.Connection."""
        if not self.https:
            from microdps.protocol.http import Connection

            self.https = Connection(self.buf, self.say)
            self.https.tidy = self.tidy
        return self.https

    def send(self, data, properties=None, system=None):
        """The flow that sends one message, provisioning first if there is no assignment.

        data        a dict or list becomes JSON; str and bytes-like go as they are; 256 KB at most
        properties, system  dicts as in microdps.protocol.properties, or None

        Raises ValueError or TypeError for data that cannot be sent; the flow raises what
        deliver() does.
        """
        body = encode(data, properties, system)
        return self.deliver(None, body, properties, system or {})

    def deliver(self, message, body=None, properties=None, system=None):
        """Flow: send a message until the hub has accepted it: the one that is given, as for
        message(); or what the flow of a function sends.

        Tries again within its patience as microdps.backoff says. Raises OutcomeUnknown, and the
        last ServiceError, ProtocolError or LinkError. After an error the next call waits first,
        where that is due.
        """
        until = None
        fresh = False
        if self.wait_ms:
            yield from self.backoff("wait")
        while True:
            if not self.assignment:
                from microdps.provisioning import provision

                fresh = True
                yield from provision(self)
                del provision
            try:
                if message:
                    yield from message()
                else:
                    yield from self.message(body, properties, system)
                if not self.by_mqtt and self.https.status not in (200, 201, 204):
                    yield from self.backoff("refusal")
                if not self.proven:
                    self.proven = self.changed = True
                self.failures = 0
                if self.refusals or self.renewed:
                    self.forgive((yield "now", None))
                return
            except Error as error:
                until = yield from self.backoff("after_hub", error, until, fresh)

    def forgive(self, now: int):
        """A message was accepted: after a day of them, earlier refusals no longer count."""
        if self.good_ms is None:
            self.good_ms = now
        elif now - self.good_ms > _DAY_MS:
            self.refusals = 0
            self.renewed = False
            self.changed = True

    def message(self, body, properties, system: dict):
        """The flow that sends a message once."""
        if self.by_mqtt:
            if not self.mqtt:
                from microdps.protocol.mqtt import Mqtt

                self.mqtt = Mqtt(self)
            return self.mqtt.message(self, body, properties, system)
        fields = b""
        if properties or system:
            from microdps.protocol.properties import encode as header_lines

            fields = header_lines(properties, **system)
        from microdps.protocol.hub import send

        return send(self.connection(), self.hub, self.path, body, self.timeout_ms, fields)

    def backoff(self, name: str, *arguments):
        """The flow of that name in microdps.backoff, which decides after an error, and the wait
        that it asks for. Its module, and those that have made the error, are let go first."""
        self.tidy()
        from microdps import backoff

        decision = yield from getattr(backoff, name)(self, *arguments)
        del backoff
        self.tidy()
        if not decision:
            return None
        until, ms, what = decision
        if what:
            self.log("%s: %s", what, arguments[0])
            self.tidy()
        if ms:
            yield "sleep", ms
        return until

    def tidy(self):
        """Called when modules are not needed any longer. The program of a board, whose memory is
        small, puts a function here that lets them go."""
