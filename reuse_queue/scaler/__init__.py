"""The daemon that turns snapshots into decisions."""
