"""Undertone recognises emotions in speech: the program for the Raspberry Pi.

A module imports from its own layer and from those below it, never from one above it, and no
imports form a circle.  Nothing is imported here: ``undertone --help`` is instant, and each part
can be used alone.

======================= ====================================================================
layer                   contents
======================= ====================================================================
__main__                ``python -m undertone``
cli                     the commands: arguments in, library calls, output
web                     the page: recordings, the live view, the journal
bench                   how large and how fast a model is on this machine
listener, sources       the loop from a source to the sinks; what can be listened to
files, diagnostics      many recordings in parallel; what may be wrong with this machine
publish                 events to an MQTT broker, alerts to people
recognition             from blocks of sound to classified segments
journal, service        events in files, and read from them; running under systemd
samples                 the packaged recordings
audio                   from a microphone, a stream, a file or a pipe to blocks of samples
events                  what happened: the values that the sinks get
support                 small tools that belong to no stage
emotions, errors, paths the labels, the errors that a user sees, the places of files
======================= ====================================================================
"""

__version__ = "0.2.0"
