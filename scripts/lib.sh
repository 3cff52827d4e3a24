# SPDX-License-Identifier: Apache-2.0
# What the scripts share: speaking, and installing what is missing. Sourced, from the repository's root.

say() { printf '\033[1m▸ %s\033[0m\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

DEBIAN_PACKAGES=(qemu-system-x86 qemu-utils containerd runc crun dnsmasq-base nftables libnftables1
                 busybox-static cpio iproute2 procps)
BROWSER_PACKAGES=(chromium chromium-driver)   # the tests of the dashboard need them, a cloud does not

# The first Python ≥ 3.11 that can make a virtual environment; Debian's own first, since every user of a machine may read it.
find_python() {
    local python
    for python in /usr/bin/python3 python3.11 python3.12 python3.13 python3; do
        if command -v "$python" >/dev/null &&
           "$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$python"; return
        fi
    done
    return 1
}

apt_install() {
    [ "$(id -u)" = 0 ] || fail "these Debian packages are missing: $* (install them with: sudo apt-get install $*)"
    say "installing Debian packages: $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "$@" >/tmp/lichen-apt.log 2>&1 ||
        { tail -n 20 /tmp/lichen-apt.log >&2; fail "apt-get could not install: $*"; }
}

# ensure_debian [PACKAGE…]: every package that the real mode needs, and those named.
ensure_debian() { ensure_packages "${DEBIAN_PACKAGES[@]}" "$@"; }

ensure_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}

# The cloud's unprivileged processes must be able to read the program: not so in a home that is closed to others.
is_readable_by_all() {
    local path=$1
    while [ "$path" != / ]; do
        [ $(( 0$(stat -c %a "$path") & 5 )) = 5 ] || return 1
        path=$(dirname "$path")
    done
}

# ensure_python [EXTRAS]: a virtual environment in .venv with the package, and with `dev` what the tests need.
# As root in a folder that others cannot read, .venv leads to /opt/lichen and holds a copy of the source.
ensure_python() {
    local extras="${1:+[$1]}" python stamp=".venv/.installed${1:+-$1}" home=.venv editable=-e
    if [ "$(id -u)" = 0 ] && ! is_readable_by_all "$PWD"; then
        home="/opt/lichen/$(pwd | sha256sum | cut -c1-8)" editable=
        find src pyproject.toml -newer "$stamp" -print -quit 2>/dev/null | grep -q . && rm -f "$stamp"
    fi
    if [ ! -x .venv/bin/python ]; then
        python=$(find_python) || { apt_install python3 python3-venv; python=$(find_python) || fail "no Python ≥ 3.11"; }
        say "making $home with $python"
        rm -rf .venv
        "$python" -m venv "$home"
        [ "$home" = .venv ] || ln -s "$home" .venv
    fi
    if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
        say "installing lichen$extras and its dependencies into $home"
        .venv/bin/python -m pip install -q --disable-pip-version-check $editable ".$extras" 2>&1 | { grep -v '^WARNING' || true; }
        .venv/bin/lichen version >/dev/null || fail "the installation did not work"
        touch "$stamp"
    fi
}
