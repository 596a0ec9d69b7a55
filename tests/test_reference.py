"""The reference in firmware/README.md names each public class, method, argument and error."""

import ast
import inspect
import re
from dataclasses import dataclass, field

import pytest

from helpers.programs import run_code
from microdps import aio
from microdps.identity import Identity
from microdps.protocol import Assignment
from microdps_tools import CHECKOUT, FIRMWARE

PACKAGE = FIRMWARE / "microdps"
README = (FIRMWARE / "README.md").read_text()
REFERENCE = README.split("\n## Reference\n")[1].split("\n## ")[0]

# Classes whose methods and arguments the README lists: module → names.
CLASSES = {
    "device": ["Device"],
    "client": ["Client", "Response"],
    "identity": ["Identity"],
}
ERROR_MODULES = ("errors", "outbox.files", "program.config", "state")
UNITS = {"_ms": ", ms", "_s": ", s"}

# A class of errors, as a text names it.
ERROR = re.compile(r"\b(?:\w+Error|OutcomeUnknown)\b")


@dataclass
class Call:
    """A function: its arguments as code without annotations, their names, and its errors."""

    signature: str
    arguments: list[str] = field(default_factory=list)
    raises: set[str] = field(default_factory=set)


def plain_signature(arguments: ast.arguments) -> Call:
    """The arguments without "self" or "cls", and without annotations."""
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    given += [one for one in (arguments.vararg, arguments.kwarg) if one]
    for argument in given:
        argument.annotation = None
    arguments.args = [one for one in arguments.args if one.arg not in ("self", "cls")]
    names = [one.arg for one in given if one.arg not in ("self", "cls")]
    return Call(ast.unparse(arguments), names)


def read_calls(source: str, name: str) -> dict[str, Call]:
    """The public methods and properties of a class by name; "" is the class itself."""
    tree = ast.parse(source)
    (found,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
    calls = {}
    for node in found.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        if node.name.startswith("_") and node.name != "__init__":
            continue
        call = plain_signature(node.args)
        docs = ast.get_docstring(node) or ""
        if node.name == "__init__":
            docs += ast.get_docstring(found) or ""
        call.raises = named_errors(docs)
        calls[node.name.replace("__init__", "")] = call
    return calls


def named_errors(text: str) -> set[str]:
    """The errors of the sentences that begin with "Raises"."""
    return {
        name
        for sentence in re.findall(r"\bRaises\b(.*?)(?:\.\s|\.$|\Z)", text, re.DOTALL)
        for name in ERROR.findall(sentence)
    }


def rows(text: str, first: str) -> dict[str, list[str]]:
    """The tables with that first heading: the first cell, without its quotes → the other cells."""
    found = {}
    for table in re.findall(rf"^\| {first} \|.*\n\| ---.*\n((?:\|.*\n)+)", text, re.MULTILINE):
        for line in table.splitlines():
            name, *others = (cell.strip() for cell in line.strip("|").split("|"))
            found[name.strip("`")] = others
    return found


def told_call(signature: str, text: str) -> Call:
    """A call as the README tells it: its signature, its table of arguments, and its errors."""
    code = ast.parse(f"def call({signature}): pass").body[0]
    call = plain_signature(code.args)
    told = re.search(r"^Raises: (.+?)\n\n", text + "\n\n", re.DOTALL | re.MULTILINE)
    call.raises = set(ERROR.findall(told[1])) if told else set()
    call.arguments = list(rows(text, "argument"))
    return call


def told_calls(section: str) -> dict[str, Call]:
    """The calls of a class's section: "#### `name(arguments)`"; "" is the class itself."""
    head, *parts = re.split(r"^#### ", section, flags=re.MULTILINE)
    calls = {}
    made = re.search(r"```text\n\w+\((.*?)\)\n```", head, re.DOTALL)
    if made:
        calls[""] = told_call(made[1], head)
    for part in parts:
        name, signature = re.match(r"`(\w+)(?:\((.*)\))?`\n", part).groups()
        calls[name] = told_call(signature or "", part)
    return calls


def section(name: str) -> str:
    """The section of a class: "device.Device"."""
    (found,) = re.findall(
        rf"^### `microdps\.{re.escape(name)}`\n(.*?)(?=^### |\Z)",
        REFERENCE,
        re.DOTALL | re.MULTILINE,
    )
    return found


def source(module: str) -> str:
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py").read_text()


CASES = [(module, name) for module, names in CLASSES.items() for name in names]


@pytest.mark.parametrize(("module", "name"), CASES)
def test_reference_has_each_method_with_its_arguments_and_errors(module, name):
    told = told_calls(section(f"{module}.{name}"))
    real = read_calls(source(module), name)
    if name == "Response":  # status is its base's; the other names of the base are the flows'
        assert told.pop("status")
        for inner in read_calls(source("protocol.http"), "Connection"):
            real.pop(inner, None)
    assert set(told) == set(real)
    for call in real:
        assert told[call].signature == real[call].signature, call
        assert told[call].arguments == real[call].arguments, call
        assert told[call].raises == real[call].raises, call


@pytest.mark.parametrize("module", CLASSES)
def test_reference_has_each_public_class(module):
    classes = [n.name for n in ast.parse(source(module)).body if isinstance(n, ast.ClassDef)]
    assert sorted(classes) == CLASSES[module]


def test_arguments_have_their_units():
    arguments = rows(REFERENCE, "argument")
    assert len(arguments) > 15
    for name, (kind, _) in arguments.items():
        for end, unit in UNITS.items():
            assert not name.endswith(end) or unit in kind, name


def error_classes(module: str) -> dict[str, set[str]]:
    """The errors of a module → their attributes."""
    found = {}
    for node in ast.parse(source(module)).body:
        if isinstance(node, ast.ClassDef) and node.bases:
            targets = [n.target for n in node.body if isinstance(n, ast.AnnAssign)]
            targets += [t for n in node.body if isinstance(n, ast.Assign) for t in n.targets]
            found[f"{module}.{node.name}"] = {target.id for target in targets}
    return found


def test_table_of_errors_has_each_error_with_its_attributes():
    real = {}
    for module in ERROR_MODULES:
        real |= error_classes(module)
    names = {
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and any("Error" in ast.unparse(b) for b in node.bases)
    }
    assert {name.rpartition(".")[2] for name in real} == names | {"Error"}
    table = rows(README, "class").items()
    assert {name: set(re.findall(r"`(\w+)`", row[0])) for name, row in table} == real


def test_table_of_the_assignment_has_each_field():
    fields = rows(section("protocol.Assignment"), "field")
    assert tuple(fields) == Assignment._fields


def test_reference_tells_the_coroutines_of_asyncio(simulator):
    awaited, plain = re.search(
        r"`await` these methods:(.*?)\. Call these as before:(.*?)\.",
        section("aio.Device"),
        re.DOTALL,
    ).groups()
    awaited, plain = (set(re.findall(r"`(\w+)`", text)) for text in (awaited, plain))
    methods = {name for name in read_calls(source("device"), "Device") if name} - {"assignment"}
    assert awaited | plain == methods
    identity = Identity.from_files(str(simulator.device("reference-aio")))
    device = aio.Device(identity, "0ne1", "reference-aio")
    for name in methods:
        result = getattr(device, name)(*([b""] if name in ("send", "queue") else []))
        assert inspect.iscoroutine(result) == (name in awaited), name
        if name in awaited:
            result.close()


def functions_of(module: str) -> dict[str, str]:
    """The public functions of a module, and the methods of its classes: name → arguments."""
    found = {}
    for node in ast.parse(source(module)).body:
        for one in [node, *getattr(node, "body", [])]:
            if isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
                found[one.name] = plain_signature(one.args).signature
    return found


def test_table_of_wifi_clock_and_watchdog_has_each_call():
    table = REFERENCE.split("### Wi-Fi, clock and watchdog")[1]
    calls = [re.fullmatch(r"(?:board\.)?(\w+)\((.*)\)", name) for name in rows(table, "call")]
    told = {call[1]: call[2] for call in calls if call and call[1] != "Board"}
    assert told == functions_of("program.wifi") | functions_of("program.board")


def test_wifi_clock_and_watchdog_of_the_readme_run(simulator, micropython):
    """On MicroPython with the fake modules of the virtual board."""
    name = "reference-board"
    text = REFERENCE.split("### Wi-Fi, clock and watchdog")[1]
    code = re.search(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[1]
    identity = simulator.device(name)
    fakes = CHECKOUT / "host_tools" / "virtual_board" / "fake_modules"
    folder = str(identity.parent.parent)
    code = f"import os, sys; os.chdir({folder!r}); sys.path.append({str(fakes)!r})\n" + code
    code = code.replace('"0ne00111111"', repr(simulator.id_scope))
    code = code.replace('"device-01",', f"{name!r}, host={simulator.dps!r},")
    code = code.replace("board.sleep(60_000)", "board.sleep(10)\nprint(machine.WDT.fed > 5)")
    lines = run_code(micropython, code).lines
    assert not [line for line in lines if "error" in line]
    assert lines[0] == "machine: watchdog of 120000 ms"
    assert lines[-1] == "True"
    assert len(simulator.messages(name)) == 1


# The test itself: what it must find.

MADE_UP = '''
class Thing:
    """A thing. Raises LinkError."""
    def __init__(self, size: int = 1): ...
    def go(self, far, *, wait_ms=5):
        """Go. Raises OutcomeUnknown."""
    def _inner(self): ...
'''
TOLD = """
```text
Thing(size=1)
```

| argument | type, unit | meaning |
| --- | --- | --- |
| `size` | int, bytes | of it |

Raises: `LinkError`.

#### `go(far, *, wait_ms=5)`

| argument | type, unit | meaning |
| --- | --- | --- |
| `far` | int, m | how far |
| `wait_ms` | int, ms | how long |

Raises: `OutcomeUnknown` if it is lost.
"""


def test_reference_that_is_right_is_accepted():
    assert told_calls(TOLD) == read_calls(MADE_UP, "Thing")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("wait_ms=5)", "wait_ms=6)"),
        ("(far, *, ", "(*, "),
        ("| `far` | int, m | how far |\n", ""),
        ("`go(far, *, wait_ms=5)`", "`go_on(far, *, wait_ms=5)`"),
        ("Thing(size=1)", "Thing()"),
        ("`OutcomeUnknown` if", "nothing if"),
        ("`LinkError`", "`LinkError`, `ServiceError`"),
    ],
)
def test_reference_that_is_wrong_is_found(old, new):
    assert old in TOLD
    assert told_calls(TOLD.replace(old, new)) != read_calls(MADE_UP, "Thing")
