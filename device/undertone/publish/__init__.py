"""What the journal says, sent to others: to an MQTT broker, and as alerts to people.

A process of its own follows the journal, so that the listening needs no network.
"""
