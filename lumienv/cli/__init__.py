"""The command line: each command parses its words, calls one function, and renders what comes back.

`main` holds the group and what all commands share. This file imports nothing: `lumienv run` passes through
it on its short way.
"""
