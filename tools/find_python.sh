#!/bin/sh
# Prints the path of a CPython 3.13, or says in one line that there is none. Looks where people have it:
# $PYTHON, the virtual environment, the PATH (pyenv's shims answer only for versions it was told of), pyenv's folder.
for candidate in "$PYTHON" .venv/bin/python python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python python3 python; do
  [ -n "$candidate" ] || continue
  if found=$("$candidate" -c 'import sys
if sys.version_info[:2] == (3, 13) and sys.implementation.name == "cpython": print(sys.executable)' 2>/dev/null) && [ -n "$found" ]; then
    echo "$found"
    exit 0
  fi
done
echo "Python 3.13 was not found. Install it (Debian 13: apt install python3.13-venv; elsewhere: pyenv install 3.13) or name it: make PYTHON=/path/to/python3.13" >&2
exit 1
