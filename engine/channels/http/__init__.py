"""Messages as requests to any HTTP API, and what the channels over particular APIs share.

`settings` what an operator sets, `leaves` JSON with Liquid in it, `request` one templated request, `client` the
connections, `answers` what a status means, `wire` what such a channel does, `channel` the `http` channel itself.
"""
