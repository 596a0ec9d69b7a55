"""make lint: no function over 40 lines, no module over 300, in Python and JavaScript.

A longer one says why, in a comment: "# long function: …" in the line above the function (or above
its decorators), "# long module: …" anywhere in the module; with // in JavaScript. This script
prints all reasons, and ends with 1 if something is longer without one.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FUNCTION_LIMIT = 40
MODULE_LIMIT = 300

CHECKOUT = Path(__file__).resolve().parent.parent
FOLDERS = ("firmware", "host_tools", "tests")
SUFFIXES = (".py", ".js", ".mjs")
REASON = re.compile(r"^\s*(?:#|//) long (function|module): (.+)")

# Longer than the limits, and to be split. Each entry must still be needed.
TEMPORARY: set[str] = set()

# Words before a parenthesis that begin a statement of JavaScript, and not a function.
STATEMENTS = {"if", "for", "while", "switch", "catch", "with"}


@dataclass
class Part:
    """A function, or a whole module.

    name    "path" or "path:function"
    line    where it begins
    length  in lines
    reason  why it may be longer than the limit; "": there is no reason
    """

    name: str
    line: int
    length: int
    limit: int
    reason: str


def measure(path: Path, root: Path) -> Iterator[Part]:
    """The module and all of its functions."""
    text = path.read_text()
    lines = text.splitlines()
    name = path.relative_to(root).as_posix()
    reasons = [_reason(line, "module") for line in lines]
    yield Part(name, 1, len(lines), MODULE_LIMIT, next(filter(None, reasons), ""))
    functions = python_functions(text) if path.suffix == ".py" else javascript_functions(text)
    for function, top, start, end in functions:
        reason = _reason(lines[top - 2], "function") if top > 1 else ""
        yield Part(f"{name}:{function}", start, end - start + 1, FUNCTION_LIMIT, reason)


def _reason(line: str, kind: str) -> str:
    found = REASON.match(line)
    return found[2] if found and found[1] == kind else ""


def python_functions(text: str) -> Iterator[tuple[str, int, int, int]]:
    """Name, first line with decorators, first line and last line of each function."""

    def visit(node: ast.AST, prefix: str) -> Iterator[tuple[str, int, int, int]]:
        for child in ast.iter_child_nodes(node):
            name = getattr(child, "name", "")
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                top = min([child.lineno, *(d.lineno for d in child.decorator_list)])
                yield f"{prefix}{name}", top, child.lineno, child.end_lineno or child.lineno
            inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            yield from visit(child, f"{prefix}{name}." if inner else prefix)

    return visit(ast.parse(text), "")


def javascript_functions(text: str) -> Iterator[tuple[str, int, int, int]]:
    """The same for JavaScript: functions, methods, and arrow functions with a body in braces."""
    code = blank_literals(text)
    opened: list[int] = []
    for at, char in enumerate(code):
        if char == "{":
            opened.append(at)
        elif char == "}" and opened:
            start = opened.pop()
            head = _function_head(code[:start])
            if head:
                name, begin = head
                first = code.count("\n", 0, begin) + 1
                yield name, first, first, code.count("\n", 0, at) + 1


def _function_head(before: str) -> tuple[str, int] | None:
    """Name and offset of the function whose body begins after this text; None if there is none."""
    before = before.rstrip()
    if before.endswith("=>"):
        line = before.rpartition("\n")[2]
        found = re.search(r"([\w$]+)\s*[=:]\s*(?:async\s*)?(?:\([^()]*\)|[\w$]+)\s*=>$", line)
        return (found[1] if found else "=>"), len(before) - len(line.lstrip())
    if not before.endswith(")"):
        return None
    depth = 0
    for at in range(len(before) - 1, -1, -1):
        depth += (before[at] == ")") - (before[at] == "(")
        if not depth:
            break
    found = re.search(r"([\w$#]+)\s*$", before[:at])
    if not found or found[1] in STATEMENTS:
        return None
    return found[1], found.start(1)


def blank_literals(text: str) -> str:
    """JavaScript with spaces in place of strings, templates, regular expressions and comments."""
    pieces, at = [], 0
    while at < len(text):
        end = _literal_end(text, at)
        piece = text[at : end or at + 1]
        pieces.append(re.sub(r"[^\n]", " ", piece) if end else piece)
        at += len(piece)
    return "".join(pieces)


def _literal_end(text: str, at: int) -> int:
    """The offset after a literal or comment that begins here; 0 if none does."""
    for pattern in (
        r"//[^\n]*",
        r"/\*.*?\*/",
        r'"(?:\\.|[^"\\\n])*"',
        r"'(?:\\.|[^'\\\n])*'",
    ):
        found = re.compile(pattern, re.DOTALL).match(text, at)
        if found:
            return found.end()
    if text[at] == "`":
        return _template_end(text, at)
    if text[at] == "/" and re.search(r"(?:^|[(,=:\[!&|?{};]|\breturn)\s*$", text[:at][-80:]):
        found = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\n])*\]|[^/\\\n])+/\w*").match(text, at)
        return found.end() if found else 0
    return 0


def _template_end(text: str, at: int) -> int:
    """The offset after a template, whose ${…} may contain other literals."""
    at += 1
    while text[at] != "`":
        if text[at] == "\\":
            at += 2
        elif text.startswith("${", at):
            depth, at = 1, at + 2
            while depth:
                end = _literal_end(text, at)
                if not end:
                    depth += (text[at] == "{") - (text[at] == "}")
                at = end or at + 1
        else:
            at += 1
    return at + 1


def check(root: Path, folders=FOLDERS, temporary=frozenset(TEMPORARY)) -> tuple[list[str], list]:
    """The errors; and the parts that are longer than the limit for a reason."""
    errors, excepted, needed = [], [], set()
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in SUFFIXES or "node_modules" in path.parts:
                continue
            for part in measure(path, root):
                if part.length <= part.limit:
                    continue
                if part.name in temporary:
                    needed.add(part.name)
                elif part.reason:
                    excepted.append(part)
                else:
                    errors.append(
                        f"{part.name}, line {part.line}: {part.length} lines, and the limit is"
                        f" {part.limit}: split it, or say why in a comment"
                    )
    errors += [f"{name} is short now: remove it from TEMPORARY" for name in temporary - needed]
    return errors, excepted


def main() -> int:
    errors, excepted = check(CHECKOUT)
    for part in excepted:
        print(f"{part.name}: {part.length} lines: {part.reason}")
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
