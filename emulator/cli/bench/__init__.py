"""`emulator bench` and its parts."""
