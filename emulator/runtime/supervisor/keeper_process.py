"""What a keeper runs: a Python without site packages and without anything else of ours, so that it costs little.

Arguments: the descriptors of the lock file (opened anew) and of a pipe that ends with this process, the directory,
whether it was made with the cluster, and whether its parent goes too when it is empty.
"""

import fcntl
import os
import sys

LOCK = "lock"


def empty(path: str) -> None:
    """Remove all that is inside; the lock file goes last, as in `state_directory.empty_directory`."""
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name == LOCK):
        if entry.is_dir(follow_symlinks=False):
            empty(entry.path)
            os.rmdir(entry.path)
        else:
            os.unlink(entry.path)


def is_same_file(descriptor: int, path: str) -> bool:
    """Whether the file is still there under its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def close_others(*kept: int) -> None:
    """Close what else was inherited from whoever started the cluster: its reader waits for the end of it."""
    begin = 3
    for descriptor in sorted(kept):
        os.closerange(begin, descriptor)
        begin = descriptor + 1
    os.closerange(begin, os.sysconf("SC_OPEN_MAX"))


def main(arguments: list[str]) -> None:
    """Wait until nobody holds the lock, then remove what is left, unless somebody has removed it already."""
    descriptor, life, path, made, default = arguments
    close_others(int(descriptor), int(life))
    fcntl.flock(int(descriptor), fcntl.LOCK_EX)
    if not is_same_file(int(descriptor), os.path.join(path, LOCK)):
        return
    empty(path)
    try:
        if made == "made":
            os.rmdir(path)
            if default == "default":
                os.rmdir(os.path.dirname(path))
    except OSError:
        return  # somebody has put something there


if __name__ == "__main__":
    main(sys.argv[1:])
