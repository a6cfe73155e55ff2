#!/usr/bin/env bash
# Everything that must hold, in one command: formatting, lints, every test.
# Installs what is missing from Debian and says so; where it cannot, it says what to install and stops.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }
fail() { printf '\nFAILED: %s\n' "$*" >&2; exit 1; }

updated=no
install() { # install PROGRAM PACKAGE...: makes PROGRAM available
    local program=$1
    shift
    command -v "$program" >/dev/null 2>&1 && return 0
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || return 1
        as_root=(sudo -n)
    fi
    command -v apt-get >/dev/null 2>&1 || return 1
    say "$program is missing; installing $* from Debian"
    if [ "$updated" = no ]; then
        "${as_root[@]}" apt-get update -qq || return 1
        updated=yes
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

command -v cargo >/dev/null 2>&1 || fail "cargo is missing: install the Rust toolchain named in rust-toolchain.toml"
install cc gcc libc6-dev || fail "no C compiler: install gcc (bundled SQLite and ring are built from C)"

# The answer EHC^E10 is checked by a second HL7 library where Python is there; the tests say when it is not.
say "independent HL7 library (hl7apy)"
venv=$PWD/target/hl7apy
if [ ! -x "$venv/bin/python" ]; then
    if command -v python3 >/dev/null 2>&1 && python3 -m venv "$venv" >/dev/null 2>&1 \
        && "$venv/bin/pip" install -q --disable-pip-version-check 'hl7apy==1.3.5'; then
        echo "installed into target/hl7apy"
    else
        rm -rf "$venv"
        echo "not available here; its tests pass over and say so"
    fi
fi
[ -x "$venv/bin/python" ] && export YIZHAN_TEST_PYTHON=$venv/bin/python

say "formatting"
cargo fmt --all --check || fail "run cargo fmt"

say "lints"
cargo clippy --workspace --all-targets --locked --quiet -- -D warnings

say "tests"
cargo test --workspace --locked --quiet

say "all passed"
