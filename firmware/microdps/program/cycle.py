"""The cycle of a board: read, send, wait. The only module of the program that stays loaded, with
board.py."""

import gc
import sys
import time

from micropython import const

from microdps.program.board import STATE

# How often an idle connection is looked after.
_PING_MS = const(60_000)

# How often errors are written to flash, which wears.
_SAVE_MS = const(600_000)

# From so long before on, messages say that the certificate expires: 30 days.
_WARN_S = const(2_592_000)

# The modules that are needed while all goes well.
_KEEP = const(
    " errors session protocol protocol.body driver driver.link"
    " program program.board program.cycle "
)
_HTTPS = const("protocol.http protocol.hub ")
_MQTT = const("protocol.mqtt ")


class Cycle:
    """What a board does again and again, and how it stands.

    session microdps.session.Session
    link    microdps.driver.link.Link
    state   path of the file that keeps the session's state, or None while an identity is on trial
    choice  the identity in use, as microdps.rollover.look() describes it
    outbox  None, or (which readings it keeps, "always" or "on-failure"; its most KiB; which
            messages it keeps where there is no room, "newest" or "oldest")
    backlog may messages wait in the outbox?
    data    a reading that is being sent, and what it is known by (microdps.outbox.naming); or None
    lost    messages for which the outbox had no room
    untold  those of them that no message has told yet
    sent    messages that were accepted
    faults  cycles in a row that ended with an exception which is no Error
    why     the code of the last Error, until a message is accepted
    errors  entries of the journal that are not on flash yet
    ended   why the program is to be started again, "" if it is not
    """

    ended = ""
    why = None
    quiet = False  # has it been said that there was nothing to send?
    sent = faults = no_memory = lost = untold = 0
    data = outbox = None
    backlog = False
    saved_ms = -_SAVE_MS

    def __init__(self, board, settings: dict, choice: dict, session, link):
        self.board = board
        self.choice = choice
        self.session = session
        self.link = link
        self.state = None if choice["trial"] else STATE
        session.tidy = self.tidy
        self.wifi = settings["wifi"]
        self.interval_ms = int(settings["interval_s"] * 1000)
        self.messages = settings["messages"]
        self.modules = 0
        self.errors: list = []

    def once(self):
        """Read and send once, and wait for the next time → exit code if all is done, else None."""
        board = self.board
        end = board.now() + self.interval_ms
        self.tidy()
        try:
            self.read_and_send(end)
            self.faults = self.no_memory = 0
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # an app may raise anything; SystemExit is no Exception
            end = max(end, self.trouble(error))
        self.tidy()
        if self.sent >= self.messages > 0:
            print("done: %d messages sent" % self.sent)
            return 0
        while not self.ended:
            left = end - board.now()
            if left <= 0:
                break
            board.sleep(min(left, _PING_MS))
            if left > _PING_MS:
                if self.session.mqtt:
                    self.link.run(self.session.mqtt.ping(self.session))
                self.save_errors()
        return None

    def read_and_send(self, end: int):
        import app

        data = app.read()
        if data is None:
            if not self.quiet:
                self.quiet = True
                print("app.py: read() returned None: nothing to send")
        else:
            self.send(data)
        if self.backlog:
            from microdps.program.waiting import deliver

            deliver(self, end)

    def send(self, data):
        """Send one message. If there is an outbox, what is not sent is kept there."""
        system = None
        if self.outbox:
            from microdps.program.waiting import begin

            system = begin(self, data)
            del begin
            self.tidy()
            if not system:
                return
        self.board.show("working")
        self.ready()
        self.run(self.session.send(data, self.properties(), system))
        self.data = None
        self.accepted(1)
        self.board.show("done")

    def ready(self):
        """Join the Wi-Fi if that is to be done, and register if there is no assignment."""
        session = self.session
        board = self.board
        if self.wifi and not (board.online and board.online() and board.now() < board.clock_ms):
            from microdps.program.wifi import join

            join(board, self.wifi, self.choice)
            del join
            self.tidy()
        if board.spread_ms:
            print("power is back: waiting %d ms, as all boards start now" % board.spread_ms)
            board.sleep(board.spread_ms)
            board.spread_ms = 0
        if not session.assignment:
            from microdps.provisioning import provision

            assignment = self.run(provision(session))
            del provision
            print("assigned to %s as %s" % assignment[:2])
            self.tidy()

    def properties(self):
        """The properties of a message: None, or that the certificate expires soon."""
        properties = None
        if self.choice["expiry"] - time.time() < _WARN_S:
            from microdps.certificate import warning

            properties = warning(self.choice["expiry"])
            del warning
            self.tidy()
        return properties

    def accepted(self, count: int):
        """The hub has accepted so many messages."""
        first = not self.sent
        self.sent += count
        self.why = None
        self.tidy()
        if self.choice["trial"]:
            from microdps.rollover import accepted

            accepted(self.session, self.choice, STATE)
            del accepted
            self.tidy()
            self.state = STATE
        if first:
            from microdps.program.trial import proven

            proven()
        begin = self.choice["begin"]
        if begin is not None and begin <= time.time():
            self.ended = "a newer certificate is valid"

    def run(self, flow):
        """Run a flow, and keep the state that it has changed → what it returns."""
        try:
            return self.link.run(flow)
        finally:
            if self.session.changed and self.state:
                self.tidy()
                from microdps.state import keep

                keep(self.state, self.session)

    def tidy(self):
        """Let go the modules that are not needed while all goes well, if there are any."""
        if self.modules != len(sys.modules):
            session = self.session
            let_go((_MQTT if session.mqtt else "") + (_HTTPS if session.https else ""))
            self.modules = len(sys.modules)

    def trouble(self, error) -> int:
        """Report an exception that has ended the cycle → when the next one may begin, by the
        board's now()."""
        self.tidy()
        from microdps.program.trouble import report

        next_ms = report(self, error)
        self.save_errors()
        return next_ms

    def save_errors(self, at_once: bool = False):
        """Write the errors to flash, if there are any and it is time."""
        if self.errors and (at_once or self.board.now() - self.saved_ms >= _SAVE_MS):
            from microdps.program import journal

            self.saved_ms = self.board.now()
            journal.save("errors.json", self.errors)
            self.errors = []


def let_go(also: str = ""):
    """Forget the package's modules that are not needed while all goes well (_KEEP), and collect
    garbage. A module that is needed again is loaded again; its names stay in MicroPython's table.

    also  more names to keep, each followed by a space
    """
    for name in list(sys.modules):
        if name[:9] == "microdps." and " %s " % name[9:] not in _KEEP + also:
            parent, _, child = name.rpartition(".")
            del sys.modules[name]
            if parent in sys.modules:
                delattr(sys.modules[parent], child)
    gc.collect()
