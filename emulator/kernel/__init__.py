"""One machine's network stack: a pure function of state, frame, time and a seeded random source.

Nothing in here waits, knows a clock, opens a socket or draws its own randomness: `emulator.runtime` brings all of it.
"""
