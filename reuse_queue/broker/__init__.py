"""The only code that knows Redis and rq's data format."""
