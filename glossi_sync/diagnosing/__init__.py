"""Diagnosing: what is wrong with a setup, in sentences. ``glossi-sync doctor`` prints it.

Each file knows one family of checks; ``examining`` asks them in the order in which one thing stands on another: what is
installed, the spec, the state, the service, the folder. A check answers with findings, and never with an error. It
changes nothing, neither here nor at the service, and no finding holds a secret.
"""

from glossi_sync.diagnosing.examining import Setup, diagnose
from glossi_sync.diagnosing.finding import Finding, Level

__all__ = ["Finding", "Level", "Setup", "diagnose"]
