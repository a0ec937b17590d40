"""Webhooks: where rq's webhooks of an environment's jobs may go."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from reuse_queue.ends import Webhook
from reuse_queue.errors import UnknownCallback


class AllowedWebhooks:
    """The beginnings of the URLs that jobs may have called; none at first.

    A replica would else call, from inside its network, whatever somebody writes into Redis.
    """

    def __init__(self, environment: str) -> None:
        self._environment = environment
        self._starts: list[str] = []

    def __call__(self, *starts: str) -> None:
        """Allow webhooks whose URLs begin so: `env.allow_webhooks("https://hooks.example.com/")`.

        Raises:
            ValueError: one is no http:// or https:// URL with a host and a path.
        """
        for start in starts:
            parts = urlsplit(start)
            if parts.scheme not in {"http", "https"} or not parts.netloc or not parts.path:
                raise ValueError(
                    f"a webhook's URL must begin with http:// or https://, a host and a /, as in "
                    f"https://hooks.example.com/; got {start!r}"
                )
        self._starts += starts

    def allow(self, url: str) -> bool:
        """Return whether a URL may be called."""
        return any(url.startswith(start) for start in self._starts)

    def check(self, webhooks: Iterable[Webhook]) -> None:
        """Do nothing if all of a job's webhooks are allowed.

        Raises:
            UnknownCallback: one is not.
        """
        for each in webhooks:
            if not self.allow(each.url):
                raise UnknownCallback(
                    f"environment {self._environment} allows no webhook to {each.where!r}, which "
                    "the job names: allow_webhooks(…) says where they may go"
                )
