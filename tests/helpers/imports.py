"""Read the imports of a tree of modules, and compare them with a table of layers."""

import ast
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Module:
    """A module of a tree.

    own     names of the modules of the same tree that it imports
    others  top-level names of all other modules that it imports
    """

    own: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)


def read_tree(root: Path, package: str) -> dict[str, Module]:
    """All modules of a tree by their names: "certs.keys"; "" for root/__init__.py.

    package  the name under which the tree is imported
    """
    paths = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {name: read_module(path, name, package, set(paths)) for name, path in paths.items()}


def read_module(path: Path, name: str, package: str, names: set[str]) -> Module:
    """The imports of one module. names: the modules of its tree."""
    module = Module()
    # What one dot means: the package itself, or the one that the module is in.
    here = name if path.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            targets = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = here.split(".") if here else []
                parts = parts[: len(parts) - (node.level - 1)]
                base = ".".join([package, *parts, *filter(None, [base])])
            targets = [(base, alias.name) for alias in node.names]
        else:
            continue
        for base, attribute in targets:
            top, _, inner = base.partition(".")
            if top != package:
                module.others.add(top)
                continue
            submodule = f"{inner}.{attribute}".strip(".")
            found = submodule if attribute and submodule in names else inner
            assert found in names, f"{path}: there is no module {base}"
            module.own.add(found)
    module.own.discard(name)
    return module


def words(text: str) -> set[str]:
    return set(text.split())


def rooms_of(names, rooms: dict[str, str]) -> dict[str, str]:
    """Module → its room: the one that lists it, else its folder or its own name."""
    listed = {name: room for room, members in rooms.items() for name in words(members)}
    return {name: listed.get(name, name.partition(".")[0]) for name in names}


def wrong_arrows(modules, layers: dict[str, str], rooms: dict[str, str]) -> list[str]:
    """The imports that the table does not allow, as "module → module"."""
    room = rooms_of(modules, rooms)
    unknown = {room[name] for name in modules if name} - set(layers)
    assert not unknown, f"the table lacks {unknown}"
    return [
        f"{name} → {target}"
        for name, module in modules.items()
        for target in sorted(module.own)
        if name and target and room[target] not in words(layers[room[name]]) | {room[name]}
    ]


def circles(arrows: dict[str, set[str]]) -> set[tuple[str, ...]]:
    """The groups of names that reach each other."""
    reached: dict[str, set[str]] = {}
    for name in arrows:
        reached[name], todo = set(), list(arrows[name])
        while todo:
            target = todo.pop()
            if target not in reached[name]:
                reached[name].add(target)
                todo += arrows.get(target, ())
    return {
        tuple(sorted(other for other in reached[name] if name in reached.get(other, ())))
        for name in arrows
        if name in reached[name]
    }
