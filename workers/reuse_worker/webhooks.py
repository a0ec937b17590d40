"""Webhooks: HTTP requests that rq's jobs ask for, sent when their end has been recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from urllib.request import Request, urlopen

import structlog

from reuse_queue.broker.payloads import task_name
from reuse_queue.ends import Webhook
from reuse_queue.environment import TaskEnvironment
from reuse_queue.job import ClaimedJob, Outcome, Recorded

log = structlog.get_logger()
_STATUS = {Recorded.FINISHED: "finished", Recorded.FAILED: "failed"}


class Webhooks:
    """Sends the webhooks of ended jobs, once, as rq does: an error is logged and no more.

    Args:
        env: says where they may go.
        watch: calls back when an execution's end has been recorded.
    """

    def __init__(
        self, env: TaskEnvironment, watch: Callable[[str, Callable[[Recorded], None]], None]
    ) -> None:
        self._env = env
        self._watch = watch
        self._sending: set[asyncio.Task[None]] = set()

    def expect(self, job: ClaimedJob, outcome: Outcome) -> None:
        """Send what a job asks for when this outcome has been recorded."""
        if job.webhooks is not None and not outcome.forged:
            self._watch(job.execution, partial(self._recorded, job, outcome))

    async def sent(self) -> None:
        """Return when nothing is being sent."""
        while self._sending:
            await asyncio.wait(self._sending)

    def _recorded(self, job: ClaimedJob, outcome: Outcome, became: Recorded) -> None:
        for each in job.webhooks or ():
            if each.status == _STATUS.get(became) and self._env.allow_webhooks.allow(each.url):
                request = self._request(each, job, outcome)
                task = asyncio.ensure_future(asyncio.to_thread(_send, each, request, job.id))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)

    def _request(self, webhook: Webhook, job: ClaimedJob, outcome: Outcome) -> Request:
        headers = dict(webhook.headers)
        if webhook.method != "POST":
            return Request(webhook.url, headers=headers)  # noqa: S310  # http(s), as allowed
        told = {
            "job_id": job.id,
            # The payload may be what the job has failed by.
            "func_name": task_name(job.data),
            "status": webhook.status,
            "enqueued_at": job.enqueued_at.isoformat() if job.enqueued_at else None,
            "ended_at": datetime.now(UTC).isoformat(),
        }
        if webhook.status == "failed":
            told["exc_info"] = outcome.error
        headers = {"Content-Type": "application/json", **headers}
        data = json.dumps(told).encode()
        return Request(webhook.url, data, headers, method="POST")  # noqa: S310  # as above


def _send(webhook: Webhook, request: Request, job_id: str) -> None:
    try:
        with urlopen(request, timeout=webhook.timeout.total_seconds()):  # noqa: S310  # as above
            pass
    except Exception as error:  # noqa: BLE001  # what a server answers must not end a replica
        log.warning("webhook not sent", job=job_id, where=webhook.where, error=str(error))
