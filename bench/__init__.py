"""What `make bench` measures: the bill, the processor time and the start-up of the real functions. It never judges."""

import sys
from pathlib import Path

# As Lambda mounts it: also for a bench that is run by hand.
sys.path.insert(0, str(Path(__file__).parent.parent / "layers" / "common" / "python"))
