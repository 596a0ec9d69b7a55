"""The service's limits: how many calls in how many seconds.

Sources: "Azure IoT Hub Device Provisioning Service limits" and "IoT Hub quotas and throttling", S1
tier (Azure documentation). Inferred: that a limit counts over a sliding window.
"""

import math
import time
from collections import deque
from collections.abc import Callable


class Limit:
    """At most count calls within per_s seconds, separately for each key.

    clock  a function that returns seconds
    """

    def __init__(self, count: int, per_s: float, clock: Callable[[], float] = time.monotonic):
        self.count = count
        self.per_s = per_s
        self._clock = clock
        self._calls: dict[str, deque[float]] = {}
        self._swept = clock()

    def wait_s(self, key: str = "") -> int:
        """Count a call → 0 if it is allowed, else the whole seconds until the next one is."""
        now = self._clock()
        self._sweep(now)
        calls = self._calls.setdefault(key, deque())
        while calls and calls[0] <= now - self.per_s:
            calls.popleft()
        if len(calls) >= self.count:
            return max(1, math.ceil(calls[0] + self.per_s - now))
        calls.append(now)
        return 0

    def _sweep(self, now: float) -> None:
        """Once in each window, delete the keys that had no call in it."""
        if now - self._swept > self.per_s:
            self._swept = now
            old = [key for key, calls in self._calls.items() if calls[-1] <= now - self.per_s]
            for key in old:
                del self._calls[key]


class Limits:
    """All limits of a DPS instance and its hubs. in_force: False switches all of them off."""

    def __init__(self, in_force: bool = True):
        self.in_force = in_force
        self.registrations = Limit(1000, 60)
        self.service_calls = Limit(1000, 60)
        self.polls = Limit(5, 10)
        # 100 a second is the sustained rate. Inferred: how long a burst is allowed.
        self.messages = Limit(100 * 60, 60)

    def wait_s(self, limit: Limit, key: str = "") -> int:
        """Count a call → 0 if it is allowed, else the whole seconds until the next one is."""
        return limit.wait_s(key) if self.in_force else 0
