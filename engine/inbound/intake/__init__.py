"""Events from brokers (`muster intake`, docs/intake.md): queues of RabbitMQ, streams of Redis, NATS JetStream.

Promises:
- At least once: a message is taken off its broker after what follows from it was committed. Of a consumer that was
  killed the broker hands the messages to another one; an event that is read again is recognised by its id
  (engine.inbound.ingest) and changes nothing.
- Nothing is dropped: what cannot be used (no JSON, a field that is wrong) goes to the dead letters beside its queue,
  with the reason, and stops no other.
- Back-pressure: no more is read than one batch, and while the database is away nothing is: the broker keeps it.
- One consumer serves one organization; any number of them may read the same queue.
"""
