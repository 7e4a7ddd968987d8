"""Receiving: a webhook's deliveries, taken in from the network and kept beside the state.

``Receiver`` is a small HTTP server that faces strangers: it believes nothing that is not signed, reads no more than it
must, and answers 200 only when a delivery is durable. ``intake`` is what it does with one body, without the network.

It is not the place for what an event means: a running apply (``applying``) and the next plan (``planning``) read the
events that lie beside the state.
"""

from glossi_sync.receiving.intake import Intake, Secret, Verdict
from glossi_sync.receiving.receiver import Bounds, Receiver, Told, delivery_path
from glossi_sync.receiving.threaded import receiving

__all__ = ["Bounds", "Intake", "Receiver", "Secret", "Told", "Verdict", "delivery_path", "receiving"]
