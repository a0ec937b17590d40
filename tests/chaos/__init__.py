"""Faults of every kind upon a whole fleet, and a ledger outside Redis that says what is true.

`python -m chaos` runs it, `./dev chaos` with everything set up; docs/reliability.md tells what
came of it.
"""
