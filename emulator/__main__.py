"""`python -m emulator`: the command line where its script is not on the path."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while modules are imported there is nothing to end in order

from emulator.cli.main import main

if __name__ == "__main__":
    main()
