"""How much memory a board has. Loaded on use.

An ESP32 has two heaps. MicroPython's own, the GC heap, begins with 56 KB or more
(boards/README.md). When no block in it is large enough it grows, once for all, by memory of the
other one, the IDF heap; but TLS needs some 40 kB of that for each handshake. So the GC heap must
not grow: the modules that only a start, a registration or an error needs are loaded for it, and
let go afterwards (microdps.program.cycle).
"""

import gc
import sys

from micropython import const

try:
    import esp32
except ImportError:  # no ESP32
    esp32 = None  # type: ignore[assignment]

# A handshake takes 36 kB of the IDF heap at most, and a block of 17 kB among it (measured on
# official ESP32 images with two roots of 4096-bit RSA).
_TLS = const(40_000)
_TLS_BLOCK = const(18_000)


def idf_heap():
    """The heap that TLS lives in → (bytes free, largest block, least ever free); None where there
    is none."""
    if esp32 is None:
        return None
    regions = esp32.idf_heap_info(esp32.HEAP_DATA)
    return sum([r[1] for r in regions]), max([r[2] for r in regions]), sum([r[3] for r in regions])


def held() -> int:
    """Bytes that the objects in the GC heap hold, garbage apart; 0 on CPython."""
    gc.collect()
    return gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0


def heap_size() -> int:
    """Bytes of the GC heap; 0 on CPython. An ESP32's mem_free() counts what it may grow by, too:
    the largest block of the IDF heap."""
    if not hasattr(gc, "mem_alloc"):
        return 0
    size = gc.mem_alloc() + gc.mem_free()
    return size - idf_heap()[1] if sys.platform == "esp32" else size


def short() -> bool:
    """Has the IDF heap too little room for a TLS handshake? Ask while no connection is open."""
    idf = idf_heap()
    return idf is not None and (idf[0] < _TLS or idf[1] < _TLS_BLOCK)


def figures() -> str:
    """What the two heaps hold, for an error about memory. Collects garbage."""
    text = "GC heap %d of %d bytes held" % (held(), heap_size())
    idf = idf_heap()
    if idf:
        text += ", IDF heap %d bytes free, largest block %d" % idf[:2]
    return text
