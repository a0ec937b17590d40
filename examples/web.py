"""A web application that hands slow work to warm replicas (FastAPI).

reuse-queue run examples.web:env -- uvicorn examples.web:app

curl -X POST 'localhost:8000/reports?customer=7'      → {"job": "…", "status": "queued"}
curl 'localhost:8000/reports/<job>'                   → {"status": "finished", "report": …}
curl 'localhost:8000/reports/now?customer=7'          → waits for the report
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from reuse_queue import JobHandle, ReusePolicy, TaskEnvironment
from reuse_queue.errors import JobNotFound, RedisUnavailable, ResultTimeout

env = TaskEnvironment(name="reports", reusable=ReusePolicy(replicas=(0, 2), concurrency=16))
app = FastAPI(title="Reports")
_served: Counter[int] = Counter()  # lives as long as the replica: what one job leaves, others find


@dataclass
class Report:
    """What a task returns comes back as what it was."""

    customer: int
    total: float
    served_before: int


@env.task(retries=2, timeout=10)
async def report(customer: int) -> Report:
    """Return a customer's report; a real one would ask a database here."""
    await asyncio.sleep(0.05)
    _served[customer] += 1
    return Report(customer, customer * 9.75, _served[customer] - 1)


@app.post("/reports", status_code=202)
async def order(customer: int) -> dict[str, Any]:
    """Enqueue a report and say which job makes it."""
    handle = await report.aenqueue(customer)
    return {"job": handle.id, "status": await handle.astatus()}


@app.get("/reports/now")
async def now(customer: int) -> dict[str, Any]:
    """Enqueue a report and wait for it."""
    handle = await report.aenqueue(customer)
    try:
        return {"report": asdict(await handle.aresult(timeout=5))}
    except ResultTimeout as error:
        raise HTTPException(504, f"not yet; ask for /reports/{handle.id}") from error


@app.get("/reports/{job}")
async def look(job: str) -> dict[str, Any]:
    """Return a report's status, and the report once it is there."""
    handle: JobHandle[Report] = report.handle(job)
    try:
        status = await handle.astatus()
        done = status.ended and asdict(await handle.aresult(timeout=1))
    except JobNotFound as error:
        raise HTTPException(404, "no such report") from error
    return {"status": status, "report": done or None}


@app.exception_handler(RedisUnavailable)
async def unavailable(_request: Request, error: RedisUnavailable) -> JSONResponse:
    """Say 503, not 500, when the queue can't be reached."""
    return JSONResponse({"detail": str(error)}, 503)
