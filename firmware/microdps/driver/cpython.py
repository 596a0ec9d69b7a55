"""What stock MicroPython has and CPython lacks, for running the package on a computer.

Not copied to a board. microdps/__init__.py imports it on CPython. It adds MicroPython's own
functions to `time`, and registers two modules: `micropython` and `tls`, the latter with just the
part of MicroPython's that microdps.driver uses, and with its behaviour: certificates as DER, each
load appending; non-blocking reads and writes that return None; ValueError for a refused server
certificate; TLS 1.2 and no renegotiation.
"""

import asyncio
import gc
import select
import ssl
import sys
import tempfile
import time
import traceback
import types

# The errors of a connection that Mbed TLS gives a number (include/mbedtls/ssl.h).
_FATAL_ALERT = -0x7780
_CONN_EOF = -0x7280
_INVALID_RECORD = -0x7200


def ticks_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def ticks_add(ticks: int, delta: int) -> int:
    return ticks + delta


def ticks_diff(end: int, start: int) -> int:
    return end - start


def sleep_ms(ms: int) -> None:
    time.sleep(ms / 1000)


def _trust(context: ssl.SSLContext, cert: bytes) -> None:
    try:
        context.load_verify_locations(cadata=cert)
    except ssl.SSLError as error:
        raise ValueError("invalid cert") from error


async def sleep_async(ms: int) -> None:
    await asyncio.sleep(ms / 1000)


async def wait_for_ms(awaitable, timeout_ms: int):
    return await asyncio.wait_for(awaitable, timeout_ms / 1000)


async def ready(stream, flags: int) -> None:
    """Wait until a stream can be read or written; an SSLSocket knows which it waits for."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    reads = (getattr(stream, "waits_for", 0) or flags) == select.POLLIN
    add, remove = (
        (loop.add_reader, loop.remove_reader) if reads else (loop.add_writer, loop.remove_writer)
    )

    def fire():
        if not done.done():
            done.set_result(None)

    add(stream.fileno(), fire)
    try:
        await done
    finally:
        remove(stream.fileno())


class SSLContext:
    """tls.SSLContext of MicroPython: a client's, which takes DER."""

    def __init__(self, protocol: int):
        self._context = ssl.SSLContext(protocol)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._context.options |= ssl.OP_NO_RENEGOTIATION
        self._chain = ""
        self.verify_mode = ssl.CERT_REQUIRED

    def load_cert_chain(self, cert: bytes, key: bytes) -> None:
        # CPython loads from a file only, and knows the key's encoding by its PEM label.
        kind = "EC" if key[4:7] == b"\x01\x04" or key[2:5] == b"\x02\x01\x01" else "RSA"
        label = f"{kind} PRIVATE KEY"
        pem = ssl.DER_cert_to_PEM_cert(key).replace("CERTIFICATE", label)
        chain = self._chain + ssl.DER_cert_to_PEM_cert(cert)
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(chain + pem)
            file.flush()
            try:
                self._context.load_cert_chain(file.name)
            except ssl.SSLError as error:
                _trust(ssl.SSLContext(self._context.protocol), cert)
                raise ValueError("invalid key") from error
        self._chain = chain

    def load_verify_locations(self, root: bytes) -> None:
        _trust(self._context, root)

    def wrap_socket(self, sock, server_hostname: str, do_handshake_on_connect: bool):
        self._context.verify_mode = self.verify_mode
        return SSLSocket(
            self._context.wrap_socket(
                sock.dup(),  # CPython's takes the socket away, MicroPython's leaves it usable
                server_hostname=server_hostname,
                do_handshake_on_connect=do_handshake_on_connect,
            )
        )


class SSLSocket:
    """tls.SSLSocket of MicroPython, non-blocking."""

    def __init__(self, sock: ssl.SSLSocket):
        self._sock = sock
        self.waits_for = select.POLLOUT  # what the last read or write needs: a flag of select.poll

    def _try(self, call, argument):
        try:
            return call(argument)
        except ssl.SSLWantReadError:
            self.waits_for = select.POLLIN
        except ssl.SSLWantWriteError:
            self.waits_for = select.POLLOUT
        except ssl.SSLCertVerificationError as error:
            raise ValueError(error.verify_message) from error
        except ssl.SSLEOFError as error:
            raise OSError(_CONN_EOF, str(error)) from error
        except ssl.SSLError as error:
            alert = "ALERT" in str(error.reason) or "RENEGOTIATION" in str(error.reason)
            raise OSError(_FATAL_ALERT if alert else _INVALID_RECORD, str(error)) from error
        return None

    def write(self, buffer):
        return self._try(self._sock.send, buffer)

    def readinto(self, buffer):
        return self._try(self._sock.recv_into, buffer)

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()


def _module(name: str, **names) -> None:
    module = types.ModuleType(name, __doc__)
    module.__dict__.update(names)
    sys.modules.setdefault(name, module)


_module("micropython", const=lambda value: value)
_module(
    "tls",
    SSLContext=SSLContext,
    PROTOCOL_TLS_CLIENT=ssl.PROTOCOL_TLS_CLIENT,
    CERT_REQUIRED=ssl.CERT_REQUIRED,
)


def _print_exception(error: BaseException, file=None) -> None:
    traceback.print_exception(error, file=file or sys.stdout)


sys.print_exception = _print_exception  # type: ignore[attr-defined]
gc.threshold = lambda allocated: None  # type: ignore[attr-defined]
for _function in (ticks_ms, ticks_add, ticks_diff, sleep_ms):
    setattr(time, _function.__name__, _function)
