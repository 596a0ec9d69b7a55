"""The check of line limits finds functions and modules that are too long."""

import pytest

from line_limits import CHECKOUT, FUNCTION_LIMIT, MODULE_LIMIT, check, measure

LONG = FUNCTION_LIMIT + 1


@pytest.fixture
def errors(tmp_path):
    """Write one file, and check it → the errors."""

    def run(name: str, text: str, temporary=frozenset()) -> list[str]:
        path = tmp_path / "code" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        found, _ = check(tmp_path, ["code"], temporary)
        return found

    return run


def python(lines: int, before: str = "") -> str:
    """A function of that many lines."""
    return f"{before}def work():\n" + "    pass\n" * (lines - 1)


def javascript(lines: int, before: str = "", head: str = "function work() {") -> str:
    return f"{before}{head}\n" + "  call();\n" * (lines - 2) + "}\n"


@pytest.mark.parametrize(("name", "make"), [("a.py", python), ("a.js", javascript)])
def test_long_function(errors, name, make):
    assert errors(name, make(FUNCTION_LIMIT)) == []
    (error,) = errors(name, make(LONG, "\n\n"))
    assert error.startswith(f"code/{name}:work, line 3: {LONG} lines, and the limit is")


@pytest.mark.parametrize(("name", "comment"), [("a.py", "#"), ("a.js", "//")])
def test_long_module(errors, name, comment):
    assert errors(name, f"{comment} x\n" * MODULE_LIMIT) == []
    (error,) = errors(name, f"{comment} x\n" * (MODULE_LIMIT + 1))
    assert error.startswith(f"code/{name}, line 1: {MODULE_LIMIT + 1} lines")
    reason = f"{comment} long module: one table\n"
    assert errors(name, reason + f"{comment} x\n" * MODULE_LIMIT) == []


@pytest.mark.parametrize(
    ("before", "long"),
    [
        ("# long function: one table\n", False),
        ("# long function: one table\n@decorator\n", False),
        ("# long function: one table\n\n", True),
        ("# long module: one table\n", True),
        ("# it is long\n", True),
        ("# long function:\n", True),
    ],
)
def test_reason_stands_directly_above_the_function(errors, before, long):
    assert bool(errors("a.py", python(LONG, before))) is long


def test_reasons_are_listed(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.js").write_text(javascript(LONG, "// long function: one table\n"))
    found, (part,) = check(tmp_path, ["code"], frozenset())
    assert found == []
    assert (part.name, part.length, part.reason) == ("code/a.js:work", LONG, "one table")


def test_methods_and_inner_functions_count(errors):
    text = "class Thing:\n    async def work(self):\n" + "        pass\n" * FUNCTION_LIMIT
    assert errors("a.py", text)[0].startswith("code/a.py:Thing.work, line 2")
    text = "def outer():\n    def work():\n" + "        pass\n" * FUNCTION_LIMIT
    assert [error.split(",")[0] for error in errors("a.py", text)] == [
        "code/a.py:outer",
        "code/a.py:outer.work",
    ]


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("async function work(a, { b = 1 } = {}) {", "work"),
        ("export const work = (a) => {", "work"),
        ("const work = async (a) => {", "work"),
        ("object.on('x', (event) => {", "=>"),
        ("  #work(event) {", "#work"),
        ("  constructor(a = '{', b = `}${`{`}`) {", "constructor"),
        ("function work(a = /[{/]{2}/g) { // {", "work"),
    ],
)
def test_kinds_of_javascript_functions(errors, head, name):
    end = ")" if head.startswith("object") else ""
    text = javascript(LONG, head=head).rstrip() + f"{end}\n"
    (error,) = errors("a.js", text)
    assert error.startswith(f"code/a.js:{name}, line 1: {LONG} lines")


@pytest.mark.parametrize("head", ["if (a) {", "for (const a of b) {", "const a = {", "class A {"])
def test_blocks_that_are_not_functions(errors, head):
    assert errors("a.js", javascript(LONG, head=head)) == []


def test_temporary_entry_that_is_not_needed_is_an_error(errors):
    temporary = frozenset({"code/a.py:work"})
    assert errors("a.py", python(LONG), temporary) == []
    (error,) = errors("a.py", python(FUNCTION_LIMIT), temporary)
    assert error == "code/a.py:work is short now: remove it from TEMPORARY"


def test_functions_of_the_page_are_found():
    """So that the check does not pass because it finds none."""
    page = CHECKOUT / "host_tools" / "simulator" / "page" / "static"
    parts = {part.name.rpartition("/")[2] for part in measure(page / "table.js", CHECKOUT)}
    assert {"table.js", "table.js:fill", "table.js:#show", "table.js:constructor"} <= parts
