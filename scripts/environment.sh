# Sourced by the other scripts. In: pyproject.toml and the machine's Python. Out: .venv, filled and ready, and $PYTHON in it.
# Runs under the bash of macOS too (3.2): no associative arrays, no mapfile.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$ROOT/.venv
PYTHON=$VENV/bin/python

say() { printf 'mwv: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# Shows the latest line of a command's output on a terminal, nothing elsewhere.
show_latest() {
    if [[ -t 2 ]]; then
        while read -r line; do printf '\r\033[Kmwv: %.70s' "$line" >&2; done
        printf '\r\033[K' >&2
    else
        cat >/dev/null
    fi
}

# quietly LOG COMMAND…: keeps the output in LOG; when the command fails, shows its errors and where the rest is.
quietly() {
    local log=$1
    shift
    "$@" 2>&1 </dev/null | tee "$log" | show_latest && return
    { grep -iE '^(error|e:)' "$log" || tail -n 3 "$log"; } | head -n 5 >&2
    say "the whole output is in $log"
    return 1
}

# install_debian PACKAGE…: as root, or through sudo where it asks for no password; fails where that is impossible.
install_debian() {
    local root=()
    command -v apt-get >/dev/null || return 1
    if [[ $EUID -ne 0 ]]; then
        { command -v sudo && sudo -n true; } >/dev/null 2>&1 || return 1
        root=(sudo)
    fi
    say "installing $* with apt-get"
    local log=${TMPDIR:-/tmp}/mwv-apt-$$.log
    quietly "$log" ${root[0]+"${root[@]}"} apt-get update || return 1
    quietly "$log" ${root[0]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "$@" || return 1
    rm -f "$log"
}

# Prints the first Python ≥ 3.11 that can import the modules named. MWV_PYTHON comes before all others.
find_python() {
    local name
    for name in ${MWV_PYTHON:+"$MWV_PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python; do
        "$name" -c "import $1, sys; assert sys.version_info >= (3, 11); print(sys.executable)" 2>/dev/null && return
    done
    return 1
}

# Debian packs the module that makes environments on its own, as python3-venv.
require_python() {
    find_python ensurepip,venv && return
    if install_debian python3 python3-venv && find_python ensurepip,venv; then return; fi
    find_python fcntl >/dev/null || die "Python 3.11 or newer with its venv module is needed (Debian: sudo apt-get install python3 python3-venv)"
    die "this Python cannot make environments: install its venv module (Debian: sudo apt-get install python3-venv)"
}

make_venv() {
    "$PYTHON" -c 'import pip, sys; assert sys.version_info >= (3, 11)' 2>/dev/null && return
    say "making .venv with $("$1" -c 'import sys; print("Python", sys.version.split()[0])')"
    local log=${TMPDIR:-/tmp}/mwv-venv-$$.log
    quietly "$log" "$1" -m venv --clear "$VENV" || die "$1 could not make $VENV"
    rm -f "$log"
}

# What .venv was made for: this place and these dependencies. Compared as text, so that a ready start runs no other program.
wanted() { printf '%s\n%s' "$ROOT" "$(<"$ROOT/pyproject.toml")"; }

is_ready() { [[ -x $PYTHON && -f $1 && $(<"$1") == "$(wanted)" ]]; }

# ensure_environment [EXTRA]: mwv (editable) and the extra's packages are in .venv afterwards.
# Two first uses at once: the second waits for the first, by a lock on this file that ends with the process.
ensure_environment() {
    local extra=${1:-} stamp base
    stamp=$VENV/ready${extra:+-$extra}
    is_ready "$stamp" && return
    base=$(require_python)
    trap 'say "interrupted; start again to go on"; exit 130' INT
    exec 9<"$ROOT/scripts/environment.sh"
    "$base" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    if ! is_ready "$stamp"; then
        make_venv "$base" 9<&-
        say "installing what mwv${extra:+ [$extra]} needs into .venv (once)"
        quietly "$VENV/setup.log" "$PYTHON" -m pip install --no-user --no-input --disable-pip-version-check \
            --progress-bar off --editable "$ROOT${extra:+[$extra]}" 9<&- || die "setting up .venv failed"
        wanted >"$VENV/ready"
        wanted >"$stamp"
    fi
    exec 9<&-
    trap - INT
}

# A Chromium for the browser tests; $CHROMIUM names one that is not on the PATH. The shell without windows comes first: the same
# engine, and a page costs half the time.
ensure_chromium() {
    local name
    for name in ${CHROMIUM:+"$CHROMIUM"} chromium-headless-shell chromium chromium-browser google-chrome; do
        command -v "$name" >/dev/null && return
    done
    for name in chromium-headless-shell chromium; do
        install_debian "$name" fonts-liberation && command -v "$name" >/dev/null && return
    done
    die "the browser tests need Chromium: install it (Debian: sudo apt-get install chromium) or set CHROMIUM to its path"
}
