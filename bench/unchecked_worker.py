"""`python -m bench.unchecked_worker …`: `muster …` whose leases go by what they loaded, however old that is."""

from __future__ import annotations

import math

from actors.cli import main
from engine.delivery import freshness

if __name__ == "__main__":
    freshness.FRESH_FOR = math.inf
    main()
