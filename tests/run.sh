#!/usr/bin/env bash
# Everything that must hold, in one command: formatting, lints, every test.
# Installs what is missing from Debian and says so; where it cannot, it says what to install and stops.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }
fail() { printf '\nFAILED: %s\n' "$*" >&2; exit 1; }

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo -n)

updated=no
from_debian() { # from_debian PACKAGE...: installs packages
    [ "${#as_root[@]}" -eq 0 ] || command -v sudo >/dev/null 2>&1 || return 1
    command -v apt-get >/dev/null 2>&1 || return 1
    if [ "$updated" = no ]; then
        "${as_root[@]}" apt-get update -qq || return 1
        updated=yes
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

install() { # install PROGRAM PACKAGE...: makes PROGRAM available
    local program=$1
    shift
    command -v "$program" >/dev/null 2>&1 && return 0
    say "$program is missing; installing $* from Debian"
    from_debian "$@"
}

have_postgresql() {
    [ -n "${YIZHAN_TEST_PG_BIN:-}" ] || command -v initdb >/dev/null 2>&1 || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

install_postgresql() { # the programs alone: the tests start servers of their own, Debian's must not start one
    say "PostgreSQL is missing; installing Debian's postgresql, without a server that runs"
    from_debian postgresql-common || return 1
    "${as_root[@]}" sed -i -E 's/^#?create_main_cluster .*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf || return 1
    from_debian postgresql # whichever version this Debian has: 15 in bookworm, 17 in trixie
}

command -v cargo >/dev/null 2>&1 || fail "cargo is missing: install the Rust toolchain named in rust-toolchain.toml"
install cc gcc libc6-dev || fail "no C compiler: install gcc (bundled SQLite and ring are built from C)"
install python3 python3 || fail "no python3: install Python 3.11 or later (the example adapters are certified with it)"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$(python3 --version) is too old: install Python 3.11 or later"
have_postgresql || install_postgresql || fail "no PostgreSQL: install postgresql (15 or later), or name the folder of its programs by YIZHAN_TEST_PG_BIN"

# The answer EHC^E10 is checked by a second HL7 library where Python can be had; the tests say when it cannot.
say "independent HL7 library (hl7apy)"
venv=$PWD/target/hl7apy
make_venv() { # Debian's python3 alone makes a folder that lacks pip
    rm -rf "$venv"
    python3 -m venv "$venv" >/dev/null 2>&1
}
install_venv() {
    say "python3 has no venv; installing python3-venv from Debian"
    from_debian python3-venv
}
if [ ! -x "$venv/bin/python" ]; then
    if { make_venv || { install_venv && make_venv; }; } \
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
