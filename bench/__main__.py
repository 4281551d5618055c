"""`python -m bench`: measure everything, print a table, write `results.json`, plans and plots.

`--quick` runs every case once at small sizes, so that none rots; its figures are printed, not kept.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from bench import content, delivery, explain, raw
from bench.ground import Ground
from bench.plots import draw
from bench.results import Row, show, write
from bench.seeding import seed
from state.database import Database

HERE = Path(__file__).parent


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, once")
    parser.add_argument("--sizes", type=int, nargs="+", help="recipients of each delivery")
    given = parser.parse_args()
    sizes = given.sizes or ([1_000, 5_000] if given.quick else [10_000, 100_000, 1_000_000])
    rows = content.measure(5 if given.quick else 100)
    with tempfile.TemporaryDirectory() as scratch, Ground(Path(scratch)) as ground:
        delivered, runs = delivery.measure(ground, sizes)
        rows += delivered
        rows += _plans(ground, Path(scratch) if given.quick else HERE, sizes[-1])
        if not given.quick:
            draw(HERE / "plots", delivered, runs)
    show(rows)
    if not given.quick:
        write(HERE / "results.json", rows)


def _plans(ground: Ground, directory: Path, size: int) -> list[Row]:
    """Explained where a campaign of the largest size was just delivered by the raw program."""
    url = ground.create_seed()
    database = Database(url)
    org_id, campaign_id = seed(database, size)
    database.close()
    raw.deliver(ground, url, org_id, campaign_id, size, processes=1)
    return explain.measure(url, org_id, campaign_id, directory / "explain", size=size)


if __name__ == "__main__":
    main()
