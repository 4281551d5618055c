"""E-mail over SMTP (RFC 5321), pipelined (RFC 2920) where the server allows it.

`settings` what an operator sets, `session` one connection, `pool` the connections of a process, `replies`
what a server's answer means, `channel` the channel itself.
"""

from engine.channels.smtp.channel import SmtpChannel

__all__ = ["SmtpChannel"]
