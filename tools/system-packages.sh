#!/bin/sh
# Install the Debian packages named as arguments that are missing, where this user may;
# else print the one command that does. The status is 1 where some are still missing.
# $PYTHON is the interpreter that needs them; it may be no Debian package itself.

present() {
    case $1 in
        python*-venv) "${PYTHON:-python3}" -c 'import ensurepip, venv' ;;
        libportaudio2) "${PYTHON:-python3}" -c '
import sys
from ctypes.util import find_library
sys.exit(not find_library("portaudio"))' ;;
        *) dpkg-query -W -f '${Status}' "$1" | grep -q 'ok installed$' ;;
    esac >/dev/null 2>&1
}

absent() {
    for package in "$@"; do
        present "$package" || printf ' %s' "$package"
    done
}

# $1: the command that gives the right, or nothing; the others: what to install
install() {
    right=$1
    shift
    echo "Installing $*" >&2
    $right apt-get update -qq >/dev/null &&
        $right env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            --no-install-recommends -o DPkg::Lock::Timeout=120 "$@" >/dev/null
}

missing=$(absent "$@")
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "Please install what Debian calls$missing" >&2
    exit 1
fi
# $missing is meant to fall into words
if [ "$(id -u)" = 0 ]; then
    install "" $missing
elif sudo -n true 2>/dev/null; then
    install sudo $missing
fi
missing=$(absent $missing)
[ -z "$missing" ] && exit 0
echo "Please run: sudo apt install$missing" >&2
exit 1
