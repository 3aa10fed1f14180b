# Versions of the program below /opt/bluegreen/versions, each a virtual environment of its own. To
# be sourced, after host.sh; also by the Debian package's scripts.

versions=/opt/bluegreen/versions
# What is set for somebody's own Python is nothing for this one.
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP
umask 022

# The one that runs the program: the daemon and apps, which are other users, have to reach it.
find_system_python() {
    local candidate anybody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    [[ $EUID -eq 0 ]] || anybody=()
    for candidate in ${BLUEGREEN_PYTHON:+"$BLUEGREEN_PYTHON"} /usr/bin/python3 \
        /usr/bin/python3.{14,13,12,11}; do
        if is_right_python "${anybody[@]}" "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    return 1
}

# Names what the checkout makes of PYTHON: its version, and a digest of all that it is made of.
name_of_version() {
    local python=$1 version digest
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$checkout/bluegreen/__init__.py")
    digest=$(
        cd -- "$checkout"
        {
            "$python" -c 'import sys; print(sys.version_info[:2])'
            find bluegreen nginx systemd tests/apps/monitor pyproject.toml README.md LICENSE \
                deploy/requirements.lock deploy/requirements-build.lock -type f \
                ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
        } | sha256sum
    )
    printf '%s-%s\n' "$version" "${digest::12}"
}

# With the pip of the environment ENV: wheels in ENV/wheels, of bluegreen and of what the lock file
# names. pip's own settings (PIP_INDEX_URL, PIP_NO_INDEX, PIP_FIND_LINKS …) say from where.
collect_wheels() {
    local env=$1 tools=$1/tools wheels=$1/wheels ready locked pip
    pip=("$env/bin/python" -m pip --quiet --disable-pip-version-check --no-input)
    # sdnotify comes as source only; nothing else that was fetched is built here.
    ready=$(sed -n '/^sdnotify==/d; s/^\([a-z0-9-]*\)==.*/\1/p' "$checkout"/deploy/requirements*.lock)
    locked=(--require-hashes --only-binary "${ready//$'\n'/,}")
    "${pip[@]}" install "${locked[@]}" --target "$tools" \
        -r "$checkout/deploy/requirements-build.lock"
    PYTHONPATH=$tools "${pip[@]}" wheel "${locked[@]}" --no-build-isolation \
        --wheel-dir "$wheels" -r "$checkout/deploy/requirements.lock"
    PYTHONPATH=$tools "${pip[@]}" wheel --no-deps --no-build-isolation \
        --wheel-dir "$wheels" "$checkout"
    rm -rf -- "$tools"
}

# The environment of version NAME, begun and without the program.
begin_version() {
    local python=$1 name=$2
    rm -rf -- "${versions:?}/$name"
    mkdir -p -- "$versions"
    "$python" -m venv "$versions/$name"
}

# Puts the wheels in WHEELS into version NAME, which is whole then.
finish_version() {
    local wheels=$2 tree=$versions/$1
    "$tree/bin/python" -m pip --quiet --disable-pip-version-check --no-input \
        install --no-index --no-deps "$wheels"/*.whl
    rm -rf -- "$tree/wheels"
    "$tree/bin/python" -I -c 'import bluegreen; print(bluegreen.__version__)' >"$tree/complete.new"
    # All of it is on the disk before anything says so.
    sync -f "$tree"
    mv -- "$tree/complete.new" "$tree/complete"
    sync -f "$tree"
}

# Only root may open it: whoever can, can hold it.
lock_file=/run/bluegreen-install.lock
lock_seconds=300

# One at a time installs or removes.
lock_installation() {
    local umask_before
    umask_before=$(umask)
    umask 077
    exec {installation_lock}>>"$lock_file"
    umask "$umask_before"
    flock --timeout "$lock_seconds" "$installation_lock" && return
    exec {installation_lock}>&-
    fail "another installation or removal of bluegreen has not ended within $lock_seconds s" \
        "see what it does: ps -fp $(processes_with "$lock_file"); then do this again"
}

# The processes that have FILE open, with commas in between.
processes_with() {
    # Some end meanwhile.
    find /proc/[0-9]*/fd -lname "$1" 2>/dev/null | cut -d/ -f3 | sort -nu | paste -sd, || true
}

# Two installations would hide one another's files.
refuse_beside_package() {
    local state
    # There may be no dpkg here, or it may not know the package.
    state=$(dpkg-query -W -f '${db:Status-Status}' bluegreen 2>/dev/null) || state=
    case $state in
        '' | not-installed | config-files) ;;
        *)
            fail "bluegreen is there as a Debian package ($state)" \
                'upgrade or remove it with apt: ./deploy/deb makes a package'
            ;;
    esac
}

# What activates version NAME, or removes the one that counts; arguments go to it.
run_installation() {
    local name=$1
    shift
    "$versions/$name/bin/python" -I -m bluegreen.installation "$@" {installation_lock}>&-
}

# Removes the program, by what it says itself; what remains of a removal that was killed too.
remove_program() {
    local current=/opt/bluegreen/current left
    if [[ -e $current/complete ]]; then
        run_installation "$(basename -- "$(readlink -- "$current")")" remove "$@"
        return
    fi
    mapfile -d '' left < <(
        find /opt/bluegreen -maxdepth 1 -regextype posix-extended \
            -regex '.*/(versions|bin|current|previous|enabled|going-back|\..*\.tmp)' \
            -print0 2>/dev/null
    )
    if ((${#left[@]})); then
        rm -rf -- "${left[@]}"
        rmdir --ignore-fail-on-non-empty /opt/bluegreen
        say 'removed what was left of the program'
    else
        say 'bluegreen is not installed'
    fi
}
