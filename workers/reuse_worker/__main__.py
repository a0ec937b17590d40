"""python -m reuse_worker."""

from reuse_worker.main import main

main()
