"""Delivering what waits in an outbox: a flow."""

from micropython import const

from microdps.errors import ServiceError

# Messages in one request over HTTPS, and in one call over MQTT: that has one time-out.
_BATCH = const(10_000)
_PUBLISHES = const(100)


class Delivery:
    """Delivers what waits, oldest first.

    session  microdps.session.Session
    outbox   microdps.outbox.files.Outbox
    """

    def __init__(self, session, outbox):
        self.session = session
        self.outbox = outbox
        self.most = _BATCH
        self.batch = None

    def step(self):
        """Flow: deliver one batch → how many messages the hub has accepted; None if none waits.

        A batch that is refused as a whole is halved, until the message at fault is known: it is
        reported and set aside. Raises as microdps.session.Session.send() does; what was not
        accepted goes on waiting.
        """
        outbox = self.outbox
        while outbox.first <= outbox.last:
            from microdps.outbox.batch import Batch

            most = _PUBLISHES if self.session.by_mqtt else self.most
            batch = self.batch = Batch(outbox, most)
            del Batch
            if not batch.count:
                if batch.start == (batch.number, batch.at):  # this file is not ours
                    outbox.remove()
                else:
                    outbox.delivered(batch.number, batch.at)
                continue
            try:
                yield from self.session.deliver(self.message)
            except ServiceError as error:
                if error.status not in (400, 413) or error.args[1] != self.session.hub:
                    raise
                self.most = batch.count // 2
                if not self.most:
                    refuse(outbox, batch, error)
                    self.most = _BATCH
                continue
            outbox.delivered(self.batch.number, self.batch.at)
            return batch.count
        return None

    def message(self):
        """The flow that delivers the batch, as messages go now."""
        session = self.session
        if self.batch.start != (self.outbox.first, self.outbox.at):  # a part is delivered
            from microdps.outbox.batch import Batch

            self.batch = Batch(self.outbox, self.batch.count)
        if session.by_mqtt:
            if not session.mqtt:
                from microdps.protocol.mqtt import Mqtt

                session.mqtt = Mqtt(session)
            from microdps.outbox.window import publish

            return publish(session, self.outbox, self.batch)
        from microdps.outbox.batch import FIELDS

        return session.connection().request(
            "POST", session.hub, session.path, FIELDS, self.batch, session.timeout_ms
        )


def refuse(outbox, batch, error):
    """Report a message that the hub does not take, and set it aside, in place of the last such."""
    for _, file, length, _, _, _ in batch.messages():
        if length:
            name = outbox.path + "/refused"
            outbox.tell(name, error)
            try:
                with open(name, "wb") as aside:
                    aside.write(file.read(length))
            except OSError as failure:
                outbox.tell(name, failure)
            break
    outbox.delivered(batch.number, batch.at)


def flush(session, outbox):
    """Flow: deliver all that waits → how many messages."""
    delivery = Delivery(session, outbox)
    done = 0
    while True:
        count = yield from delivery.step()
        if count is None:
            return done
        done += count
