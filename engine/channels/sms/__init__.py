"""SMS, through a gateway's HTTP API or Twilio's.

`settings` what an operator sets, `segments` how many messages a text costs, `gateway` and `twilio` the two ways,
`channel` the channel itself.
"""

from engine.channels.sms.channel import SmsChannel

__all__ = ["SmsChannel"]
