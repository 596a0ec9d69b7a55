"""Every module of the package can be imported on its own, as each is when it is needed."""

import os
import sys

import microdps

FOLDER = microdps.__file__.rsplit("/", 1)[0]

# What only a board, a computer, or a MicroPython with sockets has.
NEEDS = {
    "driver.cpython": ("cpython",),
    "program.wifi": ("network",),
    "program.led": ("machine",),
    "driver.link": ("tls", "socket"),
    "driver.connect": ("tls", "socket"),
    "driver.aio": ("tls", "socket"),
    "client": ("tls", "socket"),
    "aio": ("tls", "socket"),
}


def modules(folder=FOLDER, prefix=""):
    found = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py") and name != "__init__.py":
            found.append(prefix + name[:-3])
        elif "." not in name and name != "__pycache__":
            found += [prefix + name] + modules(folder + "/" + name, prefix + name + ".")
    return found


def here(needed):
    if needed == "cpython":
        return sys.implementation.name == "cpython"
    try:
        __import__(needed)
    except ImportError:
        return False
    return True


def imported_alone(name):
    whole = "microdps." + name
    before = sys.modules.pop(whole, None)
    module = __import__(whole, None, None, ("*",))
    assert module.__name__ == whole
    if before:  # the other tests know its classes
        sys.modules[whole] = before
        package, _, child = whole.rpartition(".")
        setattr(sys.modules[package], child, before)


def test_each_module_can_be_imported_alone():
    names = modules()
    assert len(names) > 30
    left_out = []
    for name in names:
        if all(here(needed) for needed in NEEDS.get(name, ())):
            imported_alone(name)
        else:
            left_out.append(name)
    assert set(left_out) <= set(NEEDS)
