"""The troubles of year.py, and what a board does under them. broken_board.py has its modules."""

import world
from world import HUB, LEGACY, REFUSED, answer

# So long after a trouble its effects may last, besides two intervals: a back-off, a restart.
_AFTER_MS = 900_000
# And after a refusal, which is answered by a wait of up to a day.
_AFTER_REFUSAL_MS = 90_000_000

# How long troubles and quiet times last.
_UNIT_MS = 600_000

_YEAR_S = 31_536_000
# The moments of a lying time server: never set, NTP's next era, and further.
LIES = (0, 2_085_978_496, 5_000_000_000)


class Reset(BaseException):
    """machine.reset()"""


class PowerCut(BaseException):
    """The power fails while the board sleeps."""


class Over(BaseException):
    """The life has come to its end."""


class Life(world.World):
    """What happens to the board, and what it does.

    trouble    name of the trouble that is going on, or ""
    fine_ms    from when on every interval must have its message
    cut        the power is off, and the board has not started yet
    wrong      what must not be: an exception raised here would be caught by the program
    """

    cut = False

    def begin(self, random, end_ms, interval_ms):
        self.random = random
        self.end_ms = end_ms
        self.interval_ms = interval_ms
        self.trouble = ""
        self.change_ms = random.below(20) * _UNIT_MS + _UNIT_MS
        self.fine_ms = _AFTER_MS
        self.last_ms = 0
        self.skew_s = 0
        self.wrong = []
        self.quiet = self.sent = self.troubles = self.resets = self.cuts = 0
        self.fed_ms = 0
        self.watched = False
        self.reset_cause = 1
        days = end_ms // 86_400_000 + 2
        self.registrations = [0] * days
        self.failures = [0] * days
        self.writes = [0] * days

    def today(self):
        return self.now_ms // 86_400_000

    def pick(self, choices):
        return choices[self.random.below(len(choices))]

    def chance(self, n):
        return self.random.below(n) == 0

    def pass_time(self, ms):
        """Let time pass: troubles begin and end, the watchdog waits, the power may fail."""
        self.now_ms += ms
        if self.watched and self.now_ms - self.fed_ms > 120_000:
            self.wrong.append("the watchdog was not fed during " + self.trouble)
        if self.now_ms > self.end_ms:
            raise Over
        if self.cut:
            raise PowerCut
        if self.now_ms < self.change_ms:
            return
        if self.trouble:
            after = _AFTER_REFUSAL_MS if self.trouble in REFUSALS else _AFTER_MS
            self.fine_ms = max(self.fine_ms, self.now_ms + after + 2 * self.interval_ms)
            self.trouble = ""
            # Now and then so long that a refusal is over, too.
            most = 300 if self.chance(4) else 30
            self.change_ms = self.now_ms + self.random.below(most) * _UNIT_MS
            return
        self.trouble = self.pick(TROUBLES)
        self.troubles += 1
        self.change_ms = self.now_ms + (1 + self.random.below(24)) * _UNIT_MS // 2
        if self.trouble == "clock jumps":
            self.skew_s += self.pick((-_YEAR_S, _YEAR_S))
        if self.trouble == "power cut":
            self.cut = True
            raise PowerCut

    def accepted(self):
        """The hub has accepted a message."""
        if not self.trouble and self.now_ms > self.fine_ms:
            gap = self.now_ms - max(self.last_ms, self.fine_ms)
            # The interval, and what one message takes.
            if gap > self.interval_ms + 60_000:
                self.wrong.append("%d s without a message" % (gap // 1000))
            self.quiet += 1
        self.last_ms = self.now_ms
        self.sent += 1

    def check(self):
        """At the end: what a device may cost a day, whatever happens (microdps.backoff)."""
        assert not self.wrong, self.wrong
        assert self.quiet and self.troubles
        assert max(self.registrations) <= 12, self.registrations
        assert max(self.failures) <= 1440 + 10 * (1 + self.resets + self.cuts)
        assert max(self.writes) <= 300, self.writes
        if not self.trouble and self.now_ms > self.fine_ms:
            assert self.now_ms - max(self.last_ms, self.fine_ms) < 2 * self.interval_ms + 60_000

    def respond(self, host, port, request):
        bad = getattr(self, "to_" + ("dps" if host == world.DPS else "hub"))()
        if bad is not None:
            self.failures[self.today()] += 1
            return bad
        # A registration that DPS itself spoils is a failed exchange.
        self.registrations[self.today()] += bytes(request[:4]) == b"PUT "
        response = world.World.respond(self, host, port, request)
        if host == HUB and (response[:2] == b"\x40\x02" or response[9:12] == b"204"):
            self.accepted()
        return response

    def to_hub(self):
        if self.trouble == "hub refuses":
            return answer(self.pick((b"401 Unauthorized", b"403 F", b"404 N", b"400 B")), LEGACY)
        if self.trouble == "hub is busy":
            status = self.pick((b"503 S", b"429 T", b"500 E", b"408 T"))
            return answer(status, LEGACY, b"Retry-After: 9\r\n")
        return self.odd() if self.trouble in ("hub is odd", "all are odd") else None

    def to_dps(self):
        if self.trouble == "DPS refuses":
            return answer(self.pick((b"401 Unauthorized", b"404 N")), REFUSED)
        if self.trouble == "DPS is busy":
            return answer(self.pick((b"503 S", b"429 T")), b"{}", b"Retry-After: 30\r\n")
        return self.odd() if self.trouble in ("DPS is odd", "all are odd") else None

    def odd(self):
        return self.pick(ODD)


TROUBLES = (
    "hub refuses", "hub is busy", "hub is odd", "DPS refuses", "DPS is busy", "DPS is odd",
    "all are odd", "no Wi-Fi", "Wi-Fi raises", "time server raises", "time server lies",
    "clock jumps", "app raises", "app returns nonsense", "network raises", "TLS raises",
    "flash is full", "power cut",
)  # fmt: skip
REFUSALS = ("hub refuses", "DPS refuses", "hub is odd", "DPS is odd", "all are odd")

SILENCE = object()
ODD = (
    None,
    SILENCE,
    OSError(104, "ECONNRESET"),
    OSError(-30592, "alert"),
    OSError(12, "ENOMEM"),
    ValueError("odd"),
    b"garbage\r\n\r\n",
    b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\nx-ms-request-id: \xff\r\n\r\n{}",
    answer(b"401 Unauthorized", b'{"errorCode":[1]}'),
    answer(b"200 OK", b'{"status":"assigned","registrationState":{"assignedHub":5}}'),
    b"HTTP/1.1 307 T\r\nLocation: /" + b"a" * 3980 + b"\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 500 Oops\r\nContent-Length: 3900\r\n\r\n" + b"[" * 3900,
    b"\x40\x02\x00",
)
EXCEPTIONS = (
    OSError(-1, "Wifi Internal Error"),
    RuntimeError("Wifi Unknown Error 0x0101"),
    OSError("WiFi Out of Memory"),
    ValueError("short"),
    IndexError("index"),
    OverflowError("overflow"),
    TypeError("type"),
    MemoryError("memory"),
    KeyError("key"),
)
FROM_APP = EXCEPTIONS + (SystemExit(3), AssertionError(), Exception("a" * 500), StopIteration())
NONSENSE = (5, 21.5, (1, 2), {1}, {"t": float("nan")}, {1: 2}, object(), None, {"a": b"b"})

life = Life()


def strike(trouble, exceptions=EXCEPTIONS):
    """Raise something, mostly, if this trouble is going on."""
    if life.trouble == trouble and not life.chance(4):
        raise life.pick(exceptions)
