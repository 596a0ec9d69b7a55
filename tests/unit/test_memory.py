"""When memory is short, and how it is told."""

from microdps import memory


class Esp32:
    """Two regions of the IDF heap: bytes free in all, the largest block, the least ever free."""

    HEAP_DATA = 4

    def __init__(self, free, block, least=5000):
        self.regions = [(90_000, free - 1000, block, least - 7), (9_000, 1000, 900, 7)]

    def idf_heap_info(self, kind):
        assert kind == self.HEAP_DATA
        return self.regions


def on(board, function):
    before = memory.esp32
    memory.esp32 = board
    try:
        return function()
    finally:
        memory.esp32 = before


def test_idf_heap_is_the_sum_of_its_regions():
    assert on(Esp32(60_000, 30_000), memory.idf_heap) == (60_000, 30_000, 5000)
    assert on(None, memory.idf_heap) is None


def test_tls_needs_room_and_a_block():
    for free, block, short in (
        (40_000, 18_000, False),
        (39_999, 18_000, True),
        (40_000, 17_999, True),
        (90_000, 80_000, False),
        (4_000, 3_000, True),
    ):
        assert on(Esp32(free, block), memory.short) is short, (free, block)
    assert on(None, memory.short) is False


def test_figures_name_both_heaps():
    text = on(Esp32(60_000, 30_000), memory.figures)
    assert text.startswith("GC heap ")
    assert text.endswith(" bytes held, IDF heap 60000 bytes free, largest block 30000")
    assert on(None, memory.figures).endswith(" bytes held")


class Gc:
    """The collector of a board, which counts what the heap may grow by as free."""

    def __init__(self):
        self.collected = 0

    def collect(self):
        self.collected += 1

    def mem_alloc(self):
        return 40_000

    def mem_free(self):
        return 54_000


class Sys:
    def __init__(self, platform):
        self.platform = platform


def test_heap_of_an_esp32_is_measured_without_what_it_may_grow_by():
    before = memory.gc, memory.sys
    memory.gc = Gc()
    try:
        for platform, size in (("esp32", 64_000), ("rp2", 94_000), ("linux", 94_000)):
            memory.sys = Sys(platform)
            assert on(Esp32(60_000, 30_000), memory.heap_size) == size, platform
        assert memory.gc.collected == 0
        assert memory.held() == 40_000 and memory.gc.collected == 1
    finally:
        memory.gc, memory.sys = before
