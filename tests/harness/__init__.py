"""Muster as real processes against real servers of its own: what acceptance, chaos and bench code stands on.

| module | what |
|---|---|
| `stack` | all of it at once; read this first |
| `account`, `journal` | the oracle, and what really left |
| `results` | the fault suite's table |
| `process`, `child` | a Muster process; any process that cannot outlive the test run |
| `postgres`, `redis_server`, `rabbitmq`, `providers` | servers that may be stopped, killed or wiped |
| `tests.servers.proxy` | a connection that may be cut, stalled, or lose its replies |
| `waiting` | asking until the answer is yes |
"""
