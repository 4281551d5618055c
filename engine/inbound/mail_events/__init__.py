"""Events that mail providers report of messages over their APIs: proven to be the provider's, and read as the events
that anybody reports (engine.inbound.reported_events), so that one classifier and one set of consequences are theirs.
"""
