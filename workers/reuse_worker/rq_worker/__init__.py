"""A drop-in for rq's worker: `rq worker --worker-class reuse_worker.rq_worker.ReuseWorker`.

The only part of the workers that knows rq, and the only one that runs whatever a job names: to
name this class is to ask for that.
"""

from reuse_worker.rq_worker.worker import ReuseWorker

__all__ = ["ReuseWorker"]
