"""A node's saved state, and packets put through it: what `emulator replay` is made of. docs/replay.md has the files."""
