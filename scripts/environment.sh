# Sourced by the other scripts: an environment with this package in it.
#
#   make_environment FOLDER [REQUIREMENT...]
#
# makes a virtual environment with this package, editable, with its development tools and the further requirements, and
# puts it first on PATH. An environment that was made for the same pyproject.toml and requirements is used as it is.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if [[ -n $candidate ]] && "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3 $0" >&2
    return 1
}

make_environment() {
    local folder=$1 python stamp
    shift
    python=$(find_python)
    stamp=$("$python" - "$root" "$@" <<'PYTHON'
import hashlib, pathlib, sys

parts = [sys.version, *sys.argv[1:], pathlib.Path("pyproject.toml").read_text()]
print(hashlib.sha256("\0".join(parts).encode()).hexdigest())
PYTHON
    )
    if [[ $(cat "$folder/stamp" 2>/dev/null) != "$stamp" ]]; then
        echo "Installing into ${folder#"$root/"}; this is done once and takes a minute or two." >&2
        "$python" -m venv --clear "$folder"
        "$folder/bin/python" -m pip install -qq --disable-pip-version-check --editable ".[dev]" "$@" >&2
        echo "$stamp" >"$folder/stamp"
    fi
    unset PYTHONHOME PYTHONPATH
    export VIRTUAL_ENV=$folder PATH="$folder/bin:$PATH"
}
