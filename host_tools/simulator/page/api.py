"""The page's API, which changes nothing.

    /api/overview     ID scope, hubs, totals, rate, and a mark that changes with each change
    /api/devices      devices by ID                 search, afterId, afterHub, limit,
                                                    sort (id, silent), afterHeard
    /api/enrollments  enrollments by kind and ID    search, afterKind, afterId, limit
    /api/messages     the last ones, newest first   hub and device, after, limit, oldest (first),
                                                    whole (bodies)
    /api/rate         messages in each time step    after
    /api/requests     the last ones, newest first   errors, after, limit

`after` is the number (or time) of a row that the page has already: only newer rows come.
"""

import bisect
import secrets
import time
from collections.abc import Callable

from ..call import ApiError
from ..hub.device_api import Hub
from ..store.store import Store
from .excerpt import EXCERPT
from .parameters import check_none_left, read_number, read_search
from .rows import enrollment_row, message_row, request_row

ROW_LIMIT = 500

# A larger body is not searched for numbers. No message is larger than the other limit.
BODY_LIMIT = 16 * 1024
WHOLE_LIMIT = 256 * 1024

# How many of a device's last messages show its habits; and how long it is never called silent.
HABIT = 10
SILENT_S = 60

# The rate of messages: seconds in a step, and how many steps.
STEP_S = 2
STEPS = 150


class Api:
    """The calls, each with a query's parameters. They raise ApiError.

    calls  path → a function that takes the parameters
    """

    def __init__(self, store: Store, hubs: list[Hub]):
        self._store = store
        self._hubs = hubs
        # Another value tells the page that the simulator was restarted, perhaps with other state.
        self._instance = secrets.token_hex(8)
        # Hub and ID of a device → number of its messages up to a message, and that one's number.
        self._counted: dict[tuple[str, str], tuple[int, int]] = {}
        self.calls: dict[str, Callable[[dict[str, str]], dict]] = {
            "/api/overview": self._overview,
            "/api/devices": self._devices,
            "/api/enrollments": self._enrollments,
            "/api/messages": self._messages,
            "/api/rate": self._rate,
            "/api/requests": self._requests,
        }

    def _overview(self, parameters: dict[str, str]) -> dict:
        check_none_left(parameters)
        about: dict = {"instance": self._instance, "idScope": self._store.id_scope}
        about |= {"hubs": [hub.host for hub in self._hubs], "rate": self._last_rate()}
        return about | self._store.totals()

    def _last_rate(self) -> float:
        """Messages per second, in the last step of the chart that is over."""
        end = int(time.time()) // STEP_S * STEP_S
        before = self._store.messages.count_before
        return (before(end) - before(end - STEP_S)) / STEP_S

    def _devices(self, parameters: dict[str, str]) -> dict:
        search, limit = read_search(parameters), read_number(parameters, "limit", ROW_LIMIT, 50)
        after = parameters.pop("afterId", ""), parameters.pop("afterHub", "")
        sort, heard = parameters.pop("sort", "id"), parameters.pop("afterHeard", "")
        check_none_left(parameters)
        if sort == "silent":
            found = self._by_silence(search, heard, after, limit + 1)
        elif sort == "id":
            found = self._store.devices.search(search, after, limit + 1)
        else:
            raise ApiError(400, 400000, "sort must be id or silent")
        return {
            "devices": [self._device(*device) for device in found[:limit]],
            "more": len(found) > limit,
        }

    def _by_silence(
        self, search: str, heard: str, after: tuple[str, str], limit: int
    ) -> list[tuple[str, str, dict]]:
        """Devices in the order in which they were last heard, after one: the most silent first."""
        times = self._store.messages.heard()
        all_of_them = sorted(
            (times.get((hub, name), 0.0), name, hub)
            for hub, name in self._store.devices.names(search)
        )
        start = 0
        if heard:
            try:
                start = bisect.bisect_right(all_of_them, (float(heard), *after))
            except ValueError as error:
                raise ApiError(400, 400000, "afterHeard must be a number") from error
        return [
            (hub, name, self._store.devices.get(hub, name) or {})
            for _, name, hub in all_of_them[start : start + limit]
        ]

    def _silence(self, hub: str, name: str) -> tuple[float | None, bool]:
        """When a device was last heard; and is it silent, by its own habits?

        It is after three times the longest gap between its last messages, and a minute at least.
        """
        times = self._store.messages.times(hub, name, HABIT)
        if not times:
            return None, False
        gaps = [newer - older for newer, older in zip(times, times[1:], strict=False)]
        return times[0], time.time() - times[0] > max(SILENT_S, 3 * max(gaps, default=0))

    def _device(self, hub: str, name: str, record: dict) -> dict:
        messages = self._store.messages
        count, last = self._counted.get((hub, name), (0, 0))
        more, newest = messages.count_of(hub, name, last)
        if more:
            count, last = self._counted[hub, name] = count + more, newest
        found = messages.last((hub, name), last - 1, 1, 4 * EXCERPT) if last else []
        heard, silent = self._silence(hub, name)
        connections = [one.connections for one in self._hubs if one.host == hub]
        return {
            "id": name,
            "hub": hub,
            "heard": heard,
            "silent": silent,
            "connected": any(name in one for one in connections),
            "registrationId": record.get("registrationId", ""),
            "kind": record.get("kind", ""),
            "status": record.get("status", "enabled"),
            "messages": count,
            "last": message_row(*found[0]) if found else None,
        }

    def _enrollments(self, parameters: dict[str, str]) -> dict:
        search, limit = read_search(parameters), read_number(parameters, "limit", ROW_LIMIT, 50)
        after = parameters.pop("afterKind", ""), parameters.pop("afterId", "")
        check_none_left(parameters)
        found = self._store.enrollments.search(search, after, limit + 1)
        return {
            "enrollments": [enrollment_row(*enrollment) for enrollment in found[:limit]],
            "more": len(found) > limit,
        }

    def _messages(self, parameters: dict[str, str]) -> dict:
        limit = read_number(parameters, "limit", ROW_LIMIT, 50)
        after = read_number(parameters, "after")
        oldest = bool(read_number(parameters, "oldest", 1))
        whole = bool(read_number(parameters, "whole", 1))
        hub, device_id = parameters.pop("hub", None), parameters.pop("device", None)
        check_none_left(parameters)
        if (hub is None) != (device_id is None):
            raise ApiError(400, 400000, "hub and device belong together")
        device = (hub, device_id) if hub is not None and device_id is not None else None
        messages = self._store.messages
        size = WHOLE_LIMIT if whole else BODY_LIMIT
        found = messages.last(device, after, limit, size, oldest)
        properties = messages.properties([message[0] for message in found])
        return {
            "messages": [
                message_row(*message, properties=properties[message[0]], whole=whole)
                for message in found
            ]
        }

    def _rate(self, parameters: dict[str, str]) -> dict:
        """The steps that are over."""
        end = int(time.time()) // STEP_S * STEP_S
        after = read_number(parameters, "after", default=end - STEP_S * STEPS)
        check_none_left(parameters)
        start = max(after // STEP_S * STEP_S, end - STEP_S * STEPS)
        times = list(range(start, end + 1, STEP_S))
        before = [self._store.messages.count_before(at) for at in times]
        counts = [more - less for less, more in zip(before, before[1:], strict=False)]
        ends = zip(times[1:], counts, strict=True)
        return {"stepS": STEP_S, "steps": [{"at": at, "count": count} for at, count in ends]}

    def _requests(self, parameters: dict[str, str]) -> dict:
        limit = read_number(parameters, "limit", ROW_LIMIT, 50)
        after = read_number(parameters, "after")
        errors_only = bool(read_number(parameters, "errors", 1))
        check_none_left(parameters)
        found = self._store.requests.last(after, limit, errors_only)
        return {"requests": [request_row(*request) for request in found]}
