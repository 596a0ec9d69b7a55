"""A cycle on a scripted board, with scripted peers and a scripted app."""

import sys

from board_world import YEAR_S
from device_world import DPS, OK, World, assigned
from microdps.session import Session

SETTINGS = {"wifi": None, "interval_s": 60, "messages": 0, "outbox": "never"}


class App:
    """app.py: what read() returns next, or raises. The last one for ever."""

    def __init__(self, *results):
        self.results = list(results)

    def read(self):
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, BaseException):
            raise result
        return result


class Link(World):
    """Peers as a link: the session runs on them, by the board's clock."""

    def __init__(self, board, hub=(OK,), dps=None):
        World.__init__(self, dps or [assigned()], hub)
        self.board = board

    def run(self, flow):
        self.now = self.board.now_ms
        try:
            return World.run(self, flow)
        finally:
            self.board.now_ms = self.now

    def close(self):
        self.drop()


class Life:
    """A cycle on a board, and its app."""

    def __init__(self, board, app, link=None, **settings):
        from microdps.program.board import Board as Own
        from microdps.program.cycle import Cycle

        self.board = board
        self.own = Own()
        self.lines = []
        self.link = link or Link(board)
        session = Session((DPS, "0ne1", "device-01"), 30_000, "https", self.lines.append)
        now = board.said
        choice = {"slot": "a", "trial": False, "begin": None, "failed": 0, "mark": 1}
        choice.update({"expiry": now + YEAR_S, "valid": now - YEAR_S, "until": now + YEAR_S})
        self.cycle = Cycle(self.own, dict(SETTINGS, **settings), choice, session, self.link)
        self.cycle.state = None
        # What is let go is measured elsewhere (tests/memory); to load it again takes time.
        self.cycle.tidy = session.tidy = lambda: None
        self.cycle.save_errors = lambda at_once=False: None
        self.app = app

    def once(self, times=1):
        """So many cycles → the exit code of the last."""
        before = sys.modules.get("app")
        sys.modules["app"] = self.app
        try:
            for _ in range(times):
                code = self.cycle.once()
            return code
        finally:
            if before is None:
                del sys.modules["app"]
            else:
                sys.modules["app"] = before
