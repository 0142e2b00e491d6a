"""Sends the journal to an MQTT broker, and alerts to people.

A separate process follows the journal, so that listening needs no network.
"""
