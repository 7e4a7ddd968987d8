"""The commands: one file each. They parse, call, and print; what they call lives in the other rooms.

``main`` loads a command's module only when that command runs, so that none pays for another's imports. Exit codes are
the contract's (``exits``); every known error becomes a sentence on stderr (``errors``), never a traceback.
"""

from glossi_sync.cli.main import main

__all__ = ["main"]
