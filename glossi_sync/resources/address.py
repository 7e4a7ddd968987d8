"""Addresses: the names by which the user's spec, the plan and the state speak of the same thing.

    model.KEY
    project.KEY              project.KEY/MODEL              (under createPerModel)
    render.KEY/SETTINGS      render.KEY/MODEL/SETTINGS      (under createPerModel)
    webhook

A KEY is ``[A-Za-z0-9][A-Za-z0-9._-]*`` and so holds no slash: an address can be read back without ambiguity.
"""

import re

from glossi_sync.resources.lifecycle import Kind

KEY_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]*"
WEBHOOK_ADDRESS = "webhook"
_ADDRESS = re.compile(
    rf"webhook|model\.{KEY_PATTERN}|project\.{KEY_PATTERN}(/{KEY_PATTERN})?|render\.{KEY_PATTERN}(/{KEY_PATTERN}){{1,2}}"
)


def model_address(key: str) -> str:
    """``model.lamp``"""
    return f"model.{key}"


def project_address(key: str, model: str | None = None) -> str:
    """``project.lamp``, or ``project.chairs/oak`` for the project of one model under createPerModel."""
    return f"project.{key}" if model is None else f"project.{key}/{model}"


def render_address(project: str, settings: str) -> str:
    """``render.lamp/web`` from ``project.lamp`` and ``web``."""
    return f"render.{project.removeprefix('project.')}/{settings}"


def is_address(text: str) -> bool:
    """Whether ``text`` has the form of an address."""
    return _ADDRESS.fullmatch(text) is not None


def kind_of(address: str) -> Kind:
    """The kind that an address names."""
    return Kind(address.partition(".")[0])
