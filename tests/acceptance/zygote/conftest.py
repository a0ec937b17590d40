"""Fixtures: an agent's lab."""

from acceptance.agent.conftest import lab, settings

__all__ = ["lab", "settings"]
