# What the scripts here share: what they say, and packages from apt. To be sourced.

# nginx and haproxy live in /usr/sbin, which is not on an ordinary user's PATH on Debian.
PATH=$PATH:/usr/sbin:/sbin
script=${0##*/}
policy=/usr/sbin/policy-rc.d

say() { printf '%s: %s\n' "$script" "$*"; }
fail() {
    printf "$script: %s\n" "$@" >&2
    exit 1
}

as_root=()
become_root() {
    if [[ $EUID -eq 0 ]]; then
        return
    fi
    if command -v sudo >/dev/null; then
        as_root=(sudo)
        # Nobody answers a question for a password where there is no terminal.
        [[ -t 2 ]] || as_root+=(-n)
        if "${as_root[@]}" true; then
            return
        fi
    fi
    fail "to be installed: ${packages[*]}" \
        'that needs root, and sudo is not there or refuses' \
        "as root, run: apt-get install ${packages[*]}"
}

# Debian starts a server as soon as it is installed.
forbid_starting() {
    if [[ -e $policy ]]; then
        return
    fi
    trap allow_starting EXIT
    "${as_root[@]}" install -m 755 /dev/stdin "$policy" <<<$'#!/bin/sh\nexit 101'
}

allow_starting() {
    trap - EXIT
    "${as_root[@]}" rm -f "$policy"
}

run_apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

# The packages named in the array `packages`.
install_packages() {
    command -v apt-get >/dev/null ||
        fail "to be installed, and there is no apt-get here: ${packages[*]}"
    become_root
    say "installing with apt: ${packages[*]}"
    run_apt update
    run_apt install --no-install-recommends "${packages[@]}" >/dev/null
}

# Whether a Python is new enough and can make virtual environments.
is_right_python() {
    "$@" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}
