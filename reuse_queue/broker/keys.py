"""Every Redis key name: one function each.

rq's keys are exactly rq 3.0's, under its prefix. Our own start with `reuse:` and carry the
environment as a hash tag, so that one environment's own keys share a slot; where rq's prefix has
a hash tag itself (the only way for rq to live on a Redis Cluster), that tag serves for all.
"""

from __future__ import annotations

from dataclasses import dataclass

WAKE = "wake"
ORDERS = "orders"


@dataclass(frozen=True, slots=True)
class Keys:
    """The key names under one rq prefix (`rq` unless RQ_KEY_PREFIX says otherwise)."""

    prefix: str = "rq"

    # -- rq's -------------------------------------------------------------------------------

    def queues(self) -> str:
        """Return the set of all queue keys."""
        return f"{self.prefix}:queues"

    def queue(self, env: str) -> str:
        """Return the list of job ids that wait."""
        return f"{self.prefix}:queue:{env}"

    def job(self, job_id: str) -> str:
        """Return the hash of one job."""
        return f"{self.prefix}:job:{job_id}"

    def dependents(self, job_id: str) -> str:
        """Return the set of ids of the jobs that wait for this one."""
        return f"{self.prefix}:job:{job_id}:dependents"

    def dependencies(self, job_id: str) -> str:
        """Return the set of ids that this job waits for (rq's double colon is no mistake here)."""
        return f"{self.prefix}:job::{job_id}:dependencies"

    def results(self, job_id: str) -> str:
        """Return the stream of a job's results."""
        return f"{self.prefix}:results:{job_id}"

    def executions(self, job_id: str) -> str:
        """Return the zset of a job's running executions."""
        return f"{self.prefix}:executions:{job_id}"

    def execution(self, job_id: str, execution: str) -> str:
        """Return the hash of one execution."""
        return f"{self.prefix}:execution:{job_id}:{execution}"

    def registry(self, kind: str, env: str) -> str:
        """Return a registry: `wip finished failed deferred scheduled canceled ready`."""
        return f"{self.prefix}:{kind}:{env}"

    def suspended(self) -> str:
        """Return the string that is there while `rq suspend` holds all workers back."""
        return f"{self.prefix}:suspended"

    def groups(self) -> str:
        """Return the set of the names of all of rq's groups."""
        return f"{self.prefix}:groups"

    def rate_limits(self) -> str:
        """Return the set of the names of all of rq's rate limits."""
        return f"{self.prefix}:rl-keys"

    def workers(self) -> str:
        """Return the set of all worker keys."""
        return f"{self.prefix}:workers"

    def workers_of(self, env: str) -> str:
        """Return the set of the worker keys of one queue."""
        return f"{self.prefix}:workers:{env}"

    def worker(self, name: str) -> str:
        """Return the hash of one worker."""
        return f"{self.prefix}:worker:{name}"

    def worker_executions(self, name: str) -> str:
        """Return the set of what a worker holds: members `<job>:<execution>`."""
        return f"{self.prefix}:worker:{name}:executions"

    def books(self, env: str) -> tuple[str, ...]:
        """Return the keys that the steps on an environment's jobs start with, as lua/lib/books."""
        registries = ("wip", "finished", "failed", "canceled", "scheduled")
        return (
            self.queue(env),
            *(self.registry(kind, env) for kind in registries),
            self.environment(env),
            self.held(env),
            self.replicas(env),
            self.ended(env),
            self.workers(),
            self.workers_of(env),
            self.deaths(env),
        )

    def names(self, env: str) -> tuple[str, ...]:
        """Return the words that those steps start with."""
        return (f"{self.prefix}:", self.own(env), env, self.wake_channel())

    # -- ours -------------------------------------------------------------------------------

    def environments(self) -> str:
        """Return the set of all environments' names."""
        return self._shared("environments")

    def own(self, env: str) -> str:
        """Return what all of one environment's own keys start with."""
        return self._own(env, "")

    def environment(self, env: str) -> str:
        """Return the hash of one environment's record."""
        return self._own(env, "environment")

    def urgent(self, env: str) -> str:
        """Return the list of ids that are claimed before those in the queue."""
        return self._own(env, "urgent")

    def limits(self, env: str) -> str:
        """Return the zset of jobs with a queue_timeout or deadline; score: when it is over, ms."""
        return self._own(env, "limits")

    def replicas(self, env: str) -> str:
        """Return the zset of an environment's replicas; score: end of lease, ms of Redis time."""
        return self._own(env, "replicas")

    def replica(self, env: str, name: str) -> str:
        """Return the hash of one replica."""
        return self._own(env, f"replica:{name}")

    def waiting(self, env: str, name: str) -> str:
        """Return the list that one idle replica's BLMOVE moves an id into."""
        return self._own(env, f"waiting:{name}")

    def cancels(self, env: str, name: str) -> str:
        """Return the set of executions that a replica is to cancel."""
        return self._own(env, f"cancels:{name}")

    def mark(self, env: str, token: str) -> str:
        """Return the mark of one enqueue that may be repeated: how many jobs were new."""
        return self._own(env, f"enqueued:{token}")

    def children(self, env: str, job_id: str) -> str:
        """Return the zset of the children of one of the environment's jobs; score: which it is."""
        return self._own(env, f"children:{job_id}")

    def felled(self, env: str) -> str:
        """Return the hash of the jobs whose children are to be canceled → which of them."""
        return self._own(env, "felled")

    def held(self, env: str) -> str:
        """Return the zset of the replicas that claim; score: how many jobs each holds."""
        return self._own(env, "held")

    def ended(self, env: str) -> str:
        """Return the zset of replicas that ended lately; score: when, ms of Redis time."""
        return self._own(env, "ended")

    def assigned(self, env: str, host: str) -> str:
        """Return the set of an environment's replicas on one host."""
        return self._own(env, f"assigned:{host}")

    def decisions(self, env: str) -> str:
        """Return the capped stream of the scaler's decisions."""
        return self._own(env, "decisions")

    def deaths(self, env: str) -> str:
        """Return the capped stream of replicas' deaths."""
        return self._own(env, "deaths")

    def versions(self, env: str) -> str:
        """Return the zset of code versions; score: when first offered, ms of Redis time."""
        return self._own(env, "versions")

    def hosts(self) -> str:
        """Return the zset of hosts; score: end of the agent's lease, ms of Redis time."""
        return self._shared("hosts")

    def host(self, host: str) -> str:
        """Return the hash of one host."""
        return self._shared(f"host:{host}")

    def leader(self) -> str:
        """Return the string that holds the leading scaler's token."""
        return self._shared("leader")

    def fence(self) -> str:
        """Return the counter that rises with every change of leader."""
        return self._shared("fence")

    def mailbox(self, box: str) -> str:
        """Return the list of ids of jobs that have ended, of those that one process awaits."""
        return self._shared(f"mail:{box}")

    def wake_channel(self) -> str:
        """Return the channel that wakes the scaler; messages are environments' names."""
        return self._shared(WAKE)

    def orders_channel(self, host: str) -> str:
        """Return the channel that wakes the agent of a host."""
        return self._shared(f"{ORDERS}:{host}")

    def replica_channel(self, name: str) -> str:
        """Return rq's command channel of a worker; also ours, to make a replica beat at once."""
        return f"{self.prefix}:pubsub:{name}"

    # ---------------------------------------------------------------------------------------

    def _own(self, env: str, part: str) -> str:
        if self.prefix == "rq":
            return f"reuse:{{{env}}}:{part}"
        if "{" in self.prefix:
            return f"reuse:{self.prefix}:{env}:{part}"
        return f"reuse:{self.prefix}:{{{env}}}:{part}"

    def _shared(self, part: str) -> str:
        return f"reuse:{part}" if self.prefix == "rq" else f"reuse:{self.prefix}:{part}"
