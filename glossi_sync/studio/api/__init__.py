"""The API's endpoints, one file a family, as the workflow guide documents them.

An endpoint checks what was asked, reads or writes the records in one transaction, and answers; what takes time it
hands to ``work``. ``context`` is what every endpoint is given, ``errors`` the shape of every refusal, ``gate`` what
stands before all of them. Bodies carry the names of ``service.wire``. Not for: SQL (``records``), files
(``storage``), rendering.
"""
