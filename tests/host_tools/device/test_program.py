"""The device's program, compiled and copied into a device's folder."""

from microdps_tools import FIRMWARE
from microdps_tools.device.program import compile_program, install_program


def modules(package) -> dict[str, bytes]:
    files = [path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {path.relative_to(package).as_posix(): path.read_bytes() for path in files}


def test_program_is_copied(tmp_path):
    install_program(tmp_path / "device")
    assert {path.name for path in (tmp_path / "device").iterdir()} == {
        "app.py",
        "boot.py",
        "main.py",
        "microdps",
    }
    for name in ("app.py", "boot.py", "main.py"):
        assert (tmp_path / "device" / name).read_bytes() == (FIRMWARE / name).read_bytes()
    package = tmp_path / "device" / "microdps"
    assert {f"microdps/{name}": content for name, content in modules(package).items()} == (
        compile_program()
    )
    install_program(tmp_path / "device", sources=True)
    assert modules(package) == modules(FIRMWARE / "microdps")
    assert not (package / "__pycache__").exists()


def test_second_copy_replaces_the_program_but_not_the_app(tmp_path):
    install_program(tmp_path)
    before = modules(tmp_path / "microdps")
    for name in ("main.py", "microdps/protocol/dps.mpy", "app.py"):
        (tmp_path / name).write_text("mine\n")
    (tmp_path / "microdps" / "gone_in_this_release.mpy").touch()
    install_program(tmp_path)
    assert (tmp_path / "main.py").read_bytes() == (FIRMWARE / "main.py").read_bytes()
    assert modules(tmp_path / "microdps") == before
    assert (tmp_path / "app.py").read_text() == "mine\n"
