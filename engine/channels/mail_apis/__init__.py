"""Channels over the HTTP APIs of mail providers that take many messages in one request.

A wave is planned as batches of messages that one request can carry (`batches`). Providers differ in how a request
holds different content for each recipient: a list of whole messages (`postmark`, `resend`), one template and what each
recipient has in its places (`ses`), or what the messages have in common and what differs (`sendgrid`, `mailgun`;
`shared_text`). Whatever the form, every recipient of a request has an outcome of its own.
"""
