"""The exit codes (contract, "Exit codes")."""

DONE = 0
ERROR = 1
CHANGES = 2
PARTLY = 3
LOCKED = 4
INTERRUPTED = 130
