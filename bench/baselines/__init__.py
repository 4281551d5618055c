"""Programs that write the rows of a delivery and do nothing else: what Muster is measured against.

`raw` does what Muster does, row by row: two updates a recipient, and four indexes that hold the status. `lean` is the
least that leaves a durable outcome of everybody: one update a recipient, on its own page. Both write tables of their
own in a copy of Muster's database (`tables`), so that they stay what they are while Muster's tables change.
"""
