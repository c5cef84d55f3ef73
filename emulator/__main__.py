"""`python -m emulator`: the command line where its script is not on the path."""

from emulator.cli.main import main

if __name__ == "__main__":
    main()
