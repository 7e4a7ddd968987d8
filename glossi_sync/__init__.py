"""glossi-sync: a declarative reconciler for the Glossi rendering service.

A spec names models, projects and renders; the service is a content-addressed store of what has been made of them.
The rooms, in the order in which a run passes through them: ``spec`` and ``state`` (what is wanted, what is known to
exist), ``service`` (the API), ``planning`` (decide), ``applying`` (do), ``reporting`` (tell). ``resources`` holds the
things they all speak of, ``studio`` is the service itself on this machine, ``cli`` the commands.
"""

__version__ = "0.1.0"
