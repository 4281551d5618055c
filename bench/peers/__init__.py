"""Job queues that do the same durable work, each as its own documentation recommends for many short jobs.

One job a recipient: claim the row (committed), read the person with it, render the message, write the outcome
(committed), acknowledge. The recipients' table is the lean baseline's, on which both updates stay on their page;
people, PostgreSQL and Redis are Muster's. Jobs survive a killed worker: late acknowledgement, or the
queue's own recovery.

`work` is what each job does, `sending` who plans and enqueues, `<queue>_app` the queue's own part, `lineup` their
settings.
"""
