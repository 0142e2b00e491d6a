#!/bin/sh
# Say what is needed unless the interpreter $1 is of one of the versions named after it.
# Where there is no python3 at all the status is 0: system-packages.sh installs one.
python=$1
shift

code='import sys; sys.exit("%d.%d" % sys.version_info[:2] not in sys.argv[1:])'
"$python" -c "$code" "$@" 2>/dev/null && exit 0
if "$python" --version >/dev/null 2>&1; then
    found="$python is $("$python" --version 2>&1)"
elif [ "$python" = python3 ]; then
    exit 0
else
    found="$python does not run here"
fi

hint="install one of them."
needed=
for version in "$@"; do
    "python$version" -c '' 2>/dev/null && hint="PYTHON=python$version will do."
    needed="$needed, $version"
done
needed=${needed#, }
echo "$found, and Undertone needs Python ${needed%, *} or ${needed##*, }: $hint" >&2
exit 1
