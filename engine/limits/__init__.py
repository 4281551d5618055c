"""Limits: how fast may be sent, how often one person may be written to, and at which hours.

Rates hold across all workers (`buckets`, `pacing`), follow what providers ask for (`adaptive`), and change while
campaigns run (`effective`). Frequency caps (`caps`) and quiet hours (`hours`) are looked at when a recipient is
claimed.
"""
