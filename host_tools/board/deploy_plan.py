"""Plan a deploy: compare the board's files with the program, and choose the slot and the steps.

The program goes into the slot that is not in use. Then one small file, /program/use, names that
slot (firmware/boot.py describes it). So the old program can start at any moment, and stays until
the new one has sent its first message. Only files that differ are sent.

config.json and the identities are deployed into the slot, too. So they are replaced as a whole,
and a board that goes back to the old program takes its old configuration back.
"""

from dataclasses import dataclass, field

from ..certs.slots import IDENTITY, SLOTS
from ..device.program import CONFIG, MANIFEST, PROGRAM, digest, manifest

# How often a new program may start without sending a message. Then the board goes back.
STARTS = 3


@dataclass
class BoardState:
    """The files of a board.

    files      path → SHA-256 in hex
    use        content of /program/use, "" if it is missing
    unslotted  is there a program outside of the slots?
    free       free bytes of the file system
    """

    files: dict[str, str] = field(default_factory=dict)
    use: str = ""
    unslotted: bool = False
    free: int = 0

    def slot(self, slot: str) -> dict[str, str]:
        """The files of a slot, without its manifest: name → SHA-256 in hex."""
        start = f"{PROGRAM}/{slot}/"
        found = {p.removeprefix(start): h for p, h in self.files.items() if p.startswith(start)}
        found.pop(MANIFEST, None)
        return found

    def is_complete(self, slot: str) -> bool:
        """Does a slot have its manifest, which is written last?"""
        return f"{PROGRAM}/{slot}/{MANIFEST}" in self.files


@dataclass
class Plan:
    """The steps of a deploy, in this order.

    slot        where the program goes
    use_before  new content of /program/use; "": leave it
    remove      paths to remove
    copy        files to copy on the board: source, target
    send        files to send: path → content
    rename      sent files to rename: from, to
    use_after   new content of /program/use; "": leave it
    """

    slot: str
    use_before: str = ""
    remove: list[str] = field(default_factory=list)
    copy: list[tuple[str, str]] = field(default_factory=list)
    send: dict[str, bytes] = field(default_factory=dict)
    rename: list[tuple[str, str]] = field(default_factory=list)
    use_after: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.remove or self.copy or self.send or self.use_after)


def is_device_file(name: str) -> bool:
    """Does this file of a slot belong to the device, not to the program?"""
    return name == CONFIG or name.startswith(f"{IDENTITY}/")


def make_plan(state: BoardState, files: dict[str, bytes], others: dict[str, bytes]) -> Plan:
    """Plan a deploy.

    files   the program, and the device's files if they are deployed, for a slot: name → content
    others  files outside of the slots: path → content
    """
    wanted = {name: digest(content) for name, content in files.items()}
    used = state.use[:1]
    if used not in SLOTS or not state.is_complete(used):
        used = ""
    if not any(map(is_device_file, files)):
        # Those of the program in use stay with it.
        wanted |= {n: h for n, h in state.slot(used).items() if used and is_device_file(n)}
    if used and state.slot(used) == wanted:
        plan = Plan(used)
    else:
        plan = _plan_slot(state, files, wanted, used)
    # Files of a deploy that was interrupted.
    plan.remove += [path for path in state.files if path.endswith(".new")]
    for path, content in others.items():
        if state.files.get(path) != digest(content):
            plan.send[f"{path}.new"] = content
            plan.rename.append((f"{path}.new", path))
    return plan


def _plan_slot(
    state: BoardState, files: dict[str, bytes], wanted: dict[str, str], used: str
) -> Plan:
    """Plan the files of the slot that the board can do without."""
    if used and len(state.use) == 3:
        # The program in use is on trial. So replace it, and keep the one that has proven itself.
        back = state.use[2]
        plan = Plan(used, use_before=back)
    else:
        back = used or ("." if state.unslotted else "")
        plan = Plan("b" if used == "a" else "a")
    plan.use_after = f"{plan.slot}{STARTS}{back}" if back else plan.slot
    folder = f"{PROGRAM}/{plan.slot}"
    present = state.slot(plan.slot)
    if state.is_complete(plan.slot) and present == wanted:
        return plan
    if state.is_complete(plan.slot):
        plan.remove.append(f"{folder}/{MANIFEST}")
    plan.remove += [f"{folder}/{name}" for name in present if name not in wanted]
    elsewhere = {h: f"{PROGRAM}/{back}/{name}" for name, h in state.slot(back).items()}
    for name, checksum in wanted.items():
        if present.get(name) == checksum:
            continue
        if checksum in elsewhere:
            plan.copy.append((elsewhere[checksum], f"{folder}/{name}"))
        else:
            plan.send[f"{folder}/{name}"] = files[name]
    plan.send[f"{folder}/{MANIFEST}"] = manifest(wanted)
    return plan
