"""The fake modules have the signatures of the real ones, as MicroPython's stubs describe them."""

import ast
from pathlib import Path

import pytest

from microdps_tools import CHECKOUT

FAKE_MODULES = sorted((CHECKOUT / "host_tools" / "virtual_board" / "fake_modules").glob("*.py"))
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
    """Does the real function take every argument of the fake one?"""
    real, fake = overload.args, given.args
    positions = len(real.posonlyargs) + len(real.args)
    names = {argument.arg for argument in real.args + real.kwonlyargs}
    fits = real.vararg is not None or len(fake.args) <= positions
    return fits and (
        real.kwarg is not None or {argument.arg for argument in fake.kwonlyargs} <= names
    )


@pytest.mark.parametrize("path", FAKE_MODULES, ids=lambda path: path.stem)
def test_signatures_are_those_of_the_real_module(path):
    if not STUBS.exists():
        pytest.skip("needs build/stubs: make build/stubs")
    real = definitions(STUBS / f"{path.stem}.pyi")
    fakes = definitions(path)
    assert fakes
    helpers = {"Timer.fire"}  # for tests
    for name, (definition,) in fakes.items():
        if name not in helpers:
            assert name in real, f"{path.stem} has no {name}"
            assert any(takes(overload, definition) for overload in real[name]), name


def test_every_module_of_the_board_has_a_fake():
    imported = set()
    for path in (CHECKOUT / "firmware" / "microdps").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module)
    boards = {"machine", "network", "esp32", "ntptime"}
    assert {path.stem for path in FAKE_MODULES} == imported & boards == boards
