#!/bin/sh
# Install Debian packages that are missing, where this user may; else print the command that does.
# Each argument is PACKAGE:CHECK, where CHECK is ensurepip, portaudio, or a command's name.

present() {
    case $1 in
        ensurepip) python3 -c 'import ensurepip' 2>/dev/null ;;
        portaudio) ldconfig -p 2>/dev/null | grep -q 'libportaudio\.so\.2' ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

missing=
for argument in "$@"; do
    present "${argument#*:}" || missing="$missing ${argument%%:*}"
done
[ -z "$missing" ] && exit 0

install="apt-get install -y --no-install-recommends$missing"
if ! command -v apt-get >/dev/null; then
    echo "Please install these system packages:$missing" >&2
elif [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive $install >/dev/null
elif sudo -n true 2>/dev/null; then
    sudo apt-get update -qq && sudo $install >/dev/null
else
    echo "Please run: sudo $install" >&2
fi
exit 0
