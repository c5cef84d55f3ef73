"""awk, without functions of the user's, getline, pipes and redirections, which are refused by name.

`lexer` makes tokens, `expressions` and `program` closures over a `machine`, which has fields, variables and arrays.
Source: IEEE Std 1003.1-2017, volume 3, `awk`.
"""
