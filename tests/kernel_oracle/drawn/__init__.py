"""The drawn kernel oracle: cases drawn from a seed, run in a real namespace and in the emulator, compared.

`draw_case` makes a `Case` (a plain value), `Machine` holds the two sides, `play` runs the one on the other and returns
what they disagree about, `shrink` makes a disagreeing case small. `__main__` is `scripts/oracle`.
"""
