"""The shell of pods: POSIX's Shell Command Language as BusyBox's ash takes it. Imported when a script first runs.

`parser` makes a tree (`syntax`) of a text, `expansion` makes fields of words, `execution` runs commands in an
`interpreter`, `builtins` are those that are the shell's own; `streams` are the descriptors that they share. Source:
IEEE Std 1003.1-2017, volume 3, chapter 2; what that leaves open is as in BusyBox 1.35 (shell/ash.c).
"""
