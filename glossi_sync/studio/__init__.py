"""The studio: the documented Glossi service, whole, on one machine, with real pictures.

For trying a catalogue before spending a render at the hosted service, for CI without a key, and as the counterpart in
this project's own tests. A request passes ``api`` (endpoints), ``records`` (what exists) and ``storage`` (files);
what takes time goes through ``work`` to worker processes, which run ``processing`` and an engine of ``engines``. What
has happened is put down by ``events`` and sent to webhooks by ``delivering``; ``jobs`` takes the steps of the simple
workflow. ``serve`` runs it all as a server, ``embedded`` as a child of another process.

Not for: anything of the reconciler. Of glossi_sync's other rooms it knows ``service.wire`` and ``service.signature``
alone. Importing this package imports nothing heavy; ``embedded`` works without the studio extra and says what to
install.
"""
