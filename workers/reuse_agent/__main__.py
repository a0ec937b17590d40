"""python -m reuse_agent."""

import sys

from reuse_agent.main import main

sys.exit(main())
