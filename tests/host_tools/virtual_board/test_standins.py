"""The stand-ins have the signatures of the real modules, as MicroPython's stubs describe them."""

import ast
from pathlib import Path

import pytest

from host_tools import CHECKOUT

STANDINS = sorted((CHECKOUT / "host_tools" / "virtual_board" / "standins").glob("*.py"))
STUBS = CHECKOUT / "build" / "stubs"


def definitions(path: Path) -> dict[str, list[ast.FunctionDef]]:
    """Public functions and methods of a module by name, with all their overloads."""
    found: dict[str, list[ast.FunctionDef]] = {}

    def visit(body, prefix):
        for node in body:
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{node.name}.")
            elif isinstance(node, ast.FunctionDef) and (
                node.name == "__init__" or not node.name.startswith("_")
            ):
                found.setdefault(prefix + node.name, []).append(node)

    visit(ast.parse(path.read_text()).body, "")
    return found


def takes(overload: ast.FunctionDef, given: ast.FunctionDef) -> bool:
    """Does the real function take every argument that the stand-in's takes?"""
    real, mine = overload.args, given.args
    positions = len(real.posonlyargs) + len(real.args)
    names = {argument.arg for argument in real.args + real.kwonlyargs}
    fits = real.vararg is not None or len(mine.args) <= positions
    return fits and (
        real.kwarg is not None or {argument.arg for argument in mine.kwonlyargs} <= names
    )


@pytest.mark.parametrize("path", STANDINS, ids=lambda path: path.stem)
def test_signatures_are_those_of_the_real_module(path):
    if not STUBS.exists():
        pytest.skip("needs build/stubs: make build/stubs")
    real = definitions(STUBS / f"{path.stem}.pyi")
    mine = definitions(path)
    assert mine
    helpers = {"Timer.fire"}  # for tests
    for name, (definition,) in mine.items():
        if name not in helpers:
            assert name in real, f"{path.stem} has no {name}"
            assert any(takes(overload, definition) for overload in real[name]), name


def test_every_module_that_the_board_touches_has_a_stand_in():
    imported = set()
    for path in (CHECKOUT / "firmware" / "microdps").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module)
    boards = {"machine", "network", "esp32", "ntptime"}
    assert {path.stem for path in STANDINS} == imported & boards == boards
