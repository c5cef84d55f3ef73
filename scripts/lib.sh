# Shared by scripts/start, scripts/test and scripts/lock: finds Python and keeps .venv equal to constraints.txt.
# Sourced by bash, with the working directory at the root of the checkout.

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

is_python() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# Prints the interpreter to use. 3.11 comes first because constraints.txt is resolved with it.
find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3.14 python3 python; do
    if is_python "$candidate"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  die "needs Python 3.11 or newer, found none: install it, or name one with PYTHON=/path/to/python3.11"
}

# What the installed packages depend on; a change of any of it makes the stamp stale.
stamp_of() {
  printf '%s\n' "$1"
  cksum pyproject.toml constraints.txt
}

# environment_is NAME: whether .venv belongs to this checkout, works, and holds what NAME (run or test) needs.
environment_is() {
  [ -x .venv/bin/python ] && [ "$(cat ".venv/.podwire-$1" 2>/dev/null)" = "$(stamp_of "$PWD")" ]
}

make_venv() {
  local python
  python=$(find_python)
  if grep -qsF "$PWD/.venv" .venv/bin/activate && is_python .venv/bin/python && .venv/bin/python -m pip -V >/dev/null 2>&1; then
    return
  fi
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    die "$python has no venv module: install it (Debian, Ubuntu: apt-get install python3-venv)"
  "$python" -m venv --clear .venv || die "cannot make $PWD/.venv: see the message above"
}

pip_install() {
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "$@" ||
    die "could not install the packages: see pip's message above; running this again continues"
}

# Compiles what has changed since, so that no command does it again: where PYTHONDONTWRITEBYTECODE is set none keeps it.
compile_sources() {
  .venv/bin/python -m compileall -q emulator tui || printf '%s: not all is compiled ahead, so that commands start more slowly\n' "${0##*/}" >&2
}

# ensure_environment NAME: makes .venv hold the locked packages, for running (run) or with the test extras (test).
ensure_environment() {
  local target=. start=$SECONDS
  if environment_is "$1"; then
    compile_sources
    return
  fi
  printf 'Installing into .venv (once; again only when the dependencies change) ...\n' >&2
  make_venv
  rm -f .venv/.podwire-*
  # The build backend is locked too, so it is installed first and the build is not isolated.
  pip_install hatchling editables
  if [ "$1" = test ]; then
    target='.[test]'
  fi
  pip_install --no-build-isolation --editable "$target"
  stamp_of "$PWD" >".venv/.podwire-$1"
  if [ "$1" = test ]; then
    stamp_of "$PWD" >.venv/.podwire-run
  fi
  compile_sources
  printf 'Installed in %d s.\n' "$((SECONDS - start))" >&2
}
